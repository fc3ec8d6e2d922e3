using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Penstock.Control.Store;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Admin;

/// <summary>Writes clients to a file, one per line, in the format that <see cref="CsvRows"/> and
/// <see cref="JsonRows"/> read. Not thread-safe.</summary>
internal sealed class ClientFileWriter : IDisposable
{
    private readonly ArrayBufferWriter<byte> _written = new();
    private readonly Utf8JsonWriter? _json;

    /// <param name="csv">Write CSV, beginning with the header line; otherwise JSON Lines.</param>
    public ClientFileWriter(bool csv)
    {
        if (csv)
        {
            Encoding.UTF8.GetBytes(string.Join(',', ClientDraft.Members) + "\n", _written);
        }
        else
        {
            _json = new(_written, new JsonWriterOptions { Encoder = AdminJson.Types.Options.Encoder });
        }
    }

    /// <summary>The bytes written since the last <see cref="Clear"/>.</summary>
    public ReadOnlyMemory<byte> Written => _written.WrittenMemory;

    public void Clear() => _written.ResetWrittenCount();

    public void Dispose() => _json?.Dispose();

    public void Write(IEnumerable<ClientState> clients)
    {
        foreach (ClientState client in clients)
        {
            var view = ClientView.Of(client);
            if (view.Plan is not null) // leave the plan's numbers out: they may have changed when the file is imported
            {
                view = view with { Capacity = null, RatePerSec = null };
            }

            if (_json is null)
            {
                string access = TermsText.WordOf(client.Terms?.Access ?? ClientAccess.Limited);
                Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture,
                    $"{Quoted(view.ClientId)},{view.Capacity},{view.RatePerSec},{view.CurrentTokens},{view.Plan},"),
                    _written);
                Encoding.UTF8.GetBytes($"{access},{ClientFileText.LimitsOf(client.Terms)}", _written);
            }
            else
            {
                _json.Reset();
                JsonSerializer.Serialize(_json, view, AdminJson.Types.ClientView);
            }
            _written.Write("\n"u8);
        }
    }

    private static string Quoted(string text) =>
        text.AsSpan().ContainsAny("\",\r\n") ? $"\"{text.Replace("\"", "\"\"")}\"" : text;
}
