using System.Text;
using Penstock.Control.Admin;
using Penstock.Proxy.Clients;

namespace Penstock.Fuzz.Targets;

/// <summary>A file of clients.</summary>
internal sealed class CsvTarget : FuzzTarget
{
    private const string Header = "client_id,capacity,rate_per_sec,current_tokens\n";

    public override string Name => "csv";
    public override int MaxBytes => 20 * 1024;

    public override IReadOnlyList<byte[]> Seeds { get; } =
    [
        .. new[]
        {
            "", Header, Header + "a,1,2,0.5\nb,100,1e2,\n", Header + "\"a,\"\"b\",1,2,\r\n\r\n\"c\",1,2,0",
            "\uFEFFrate_per_sec,client_id,capacity\r\n0.5,é,3\r\n", Header + "\"a\nb\",1,1,\nc,,1,\n",
            Header + "\"a,1,1,\nb,1,1,\n", Header + "a\"b,1,1,\n\"a\"b,1,1,\n", "a,b\n1,2\n",
            Header + "a,1,1,\na,1,1,\n", Header + new string('a', 17 * 1024) + ",1,1,\nb,1,1,\n",
        }.Select(Encoding.UTF8.GetBytes),
        [.. "client_id,capacity,rate_per_sec\na"u8, 0xe9, .. ",1,1\n"u8],
    ];

    public override IReadOnlyList<byte[]> Tokens { get; } =
    [
        .. new[]
        {
            "client_id", "capacity", "rate_per_sec", "current_tokens", Header, ",", "\"", "\"\"", "\n", "\r\n", "\r",
            ";", "\t", "\uFEFF", "a", "é", "1", "0", "-1", ".5", "1e9", "1e999", "NaN", "1,000", "\"1\"", "0x10",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    public override HashSet<string> Run(byte[] input)
    {
        ClientRows? whole = null;
        foreach ((string how, Pieces bytes) in Pieces.Ways(input, RandomFor(input)))
        {
            ClientRows rows = Read(bytes);
            whole ??= rows;
            Require(rows.FaultCount == whole.FaultCount && rows.Faults.SequenceEqual(whole.Faults)
                && rows.Clients.SequenceEqual(whole.Clients) && rows.Lines.SequenceEqual(whole.Lines),
                "same however it comes", $"{how}: {Text(rows)}\nwhole: {Text(whole)}");
        }
        int lines = 1 + input.Count(static b => b == '\n');
        Require(whole!.Lines.All(line => line >= 1 && line <= lines), "clients stand in lines", $"{Text(whole)}");
        Require(whole.Lines.SequenceEqual(whole.Lines.Order()) || whole.FaultCount > 0, "in their order",
            $"{Text(whole)}");
        foreach (string line in whole.Faults.Select(static f => f.Field))
        {
            Require(line.StartsWith("line ", StringComparison.Ordinal) && int.TryParse(line.AsSpan(5), out int number)
                && number >= 1 && number <= lines, "faults stand in lines", $"{line} of {lines}");
        }
        Require(whole.Clients.DistinctBy(static c => c.ClientId).Count() == whole.Clients.Count, "nobody twice",
            $"{Text(whole)}");
        Require(whole.Clients.All(static c => ClientId.Fault(c.ClientId) is null), "ids are valid",
            $"{Text(whole)}");
        return
        [
            $"clients {Scale(whole.Clients.Count)} faults {Scale(whole.FaultCount)}",
            .. whole.Faults.Select(static f => string.Join(' ', f.Message.Split('\'')[0].Split(' ').Take(6))),
        ];
    }

    private static ClientRows Read(Pieces bytes)
    {
        var rows = new CsvRows();
        while (bytes.More())
        {
            bytes.Use(rows.Read(bytes.Here, last: false));
            Require(bytes.Here.Length <= ClientRows.MaxRowBytes, "little is held", $"{bytes.Here.Length}");
        }
        int left = bytes.Here.Length;
        Require(rows.Read(bytes.Here, last: true) == left, "the end takes all", $"{left}");
        return rows;
    }

    private static string Text(ClientRows rows) => rows.FaultCount == 0
        ? string.Join('\n', rows.Clients.Zip(rows.Lines))
        : string.Join('\n', rows.Faults);
}
