using System.Text;
using Penstock.Control.Config;

namespace Penstock.Fuzz;

/// <summary>A configuration file: never an exception, faults stand where the text is, and there is a configuration
/// exactly when there is no error.</summary>
internal sealed class ConfigTarget : FuzzTarget
{
    public override string Name => "config";

    public override IReadOnlyList<byte[]> Seeds { get; } = Octets(
        "listen: :8080\nbackends: [http://a:1, { url: b:2, weight: 3 }]\nbalance: p2c\n"
            + "health_check: { path: /h }\n",
        "upstreams:\n  web: { backends: [a:1], send_proxy: v1 }\nroutes:\n"
            + "  - { host: \"*.a\", path: /x/*, upstream: web }\n",
        "limits:\n  default: { capacity: 10, rate: 5/s }\nclients: { identify: [header:X, address] }\nbackends: a:1\n",
        "{ \"backends\": [\"a:1\"], \"bounds\": { \"head\": \"8KiB\" }, \"timeouts\": { \"idle\": \"5s\" } }");

    public override IReadOnlyList<byte[]> Words { get; } = Octets(
        "\n", "  ", "\t", ": ", "- ", "[", "]", "{", "}", ", ", "\"", "'",
        "&a", "*a",
        "!!str", "|", ">", "#", "${A}", "${A:-b}", "$$", "listen", "backends", "upstreams", "routes", "limits",
        "5s", "10/s", "off", "null", "~", "---", "<<: *a", "\xff", "\0", "//", "/*", "unix:/x", "[::1]:80", "%");

    public override long Run(byte[] input, Random random)
    {
        string text = Encoding.Latin1.GetString(input);
        int signature = 0;
        foreach (string file in (string[])["f.yaml", "f.json"])
        {
            ConfigResult result = ConfigLoader.Parse(file, text, static _ => null);
            int lines = text.Split('\n', '\r', '\f', '\u0085', '\u2028').Length; // what YAML's scanner counts
            foreach (Diagnostic fault in result.Diagnostics)
            {
                Promise(fault.Line >= 1 && fault.Column >= 1 && fault.Line <= lines + 1 && fault.Message.Length > 0,
                    $"a fault stands at {fault.Line}:{fault.Column} of {lines} lines");
            }
            bool anyError = result.Diagnostics.Any(static d => d.Severity == Severity.Error);
            Promise(anyError == (result.Config is null), "errors, or a configuration: not both, not neither");
            using var output = new StringWriter();
            DiagnosticWriter.WriteText(output, file, result.Diagnostics, color: false);
            signature = HashCode.Combine(signature, result.Config is null, result.Diagnostics.Count,
                result.Diagnostics.Count == 0 ? "" : result.Diagnostics[0].Message[..Math.Min(12,
                    result.Diagnostics[0].Message.Length)]);
        }
        return signature;
    }
}
