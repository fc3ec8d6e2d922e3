using System.Text;
using Penstock.Control.Admin;
using Penstock.Control.Store;
using Xunit;

namespace Penstock.UnitTests.Admin;

/// <summary>Reads rows from a text, whole or in pieces, and describes the result line by line.</summary>
internal static class RowReading
{
    public static List<string> Csv(string text) => Read(new CsvRows(), Encoding.UTF8.GetBytes(text));

    public static List<string> Json(string text) => Read(new JsonRows(), Encoding.UTF8.GetBytes(text));

    /// <param name="pieces">Lengths of the pieces; what is left is the last one.</param>
    public static List<string> Read(ClientRows rows, byte[] bytes, params int[] pieces)
    {
        (byte[] left, int given) = (Array.Empty<byte>(), 0);
        foreach (int length in pieces.Append(bytes.Length - pieces.Sum()))
        {
            byte[] now = [.. left, .. bytes[given..(given + length)]];
            given += length;
            left = now[rows.Read(now, last: false)..];
            Assert.InRange(left.Length, 0, ClientRows.MaxRowBytes);
        }
        Assert.Equal(left.Length, rows.Read(left, last: true));
        return rows.FaultCount == 0
            ? [.. rows.Clients.Zip(rows.Lines, static (client, line) =>
                $"{line}: {client.ClientId} {client.Change.Capacity} {client.Change.RatePerSecond} "
                + (client.Change.Tokens?.ToString() ?? "-") + Terms(client.Change))]
            : [.. rows.Faults.Select(static fault => $"{fault.Field}: {fault.Message}")];
    }

    private static string Terms(ClientChange change) =>
        (change.Plan is null ? "" : $" plan {change.Plan}") + (change.Access is null ? "" : $" {change.Access}")
        + string.Concat((change.Limits ?? new Dictionary<string, NumbersChange?>()).Select(static own =>
            $" {own.Key}={own.Value?.Capacity}:{own.Value?.RatePerSecond}"));
}
