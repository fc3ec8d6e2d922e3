using System.Diagnostics;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Tls;

/// <summary>What a scanner such as testssl.sh looks for, asked by the command <c>openssl s_client</c> of a listener
/// with the default settings.</summary>
public sealed class ScannerTests(ITestOutputHelper output) : IAsyncDisposable
{
    private const string Request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

    private readonly ScriptedBackend _backend = ScriptedBackend.Always("ok");

    public ValueTask DisposeAsync() => _backend.DisposeAsync();

    [Theory]
    [InlineData("-tls1")]
    [InlineData("-tls1_1")]
    public async Task Old_version_is_rejected_by_an_alert(string version)
    {
        await using TestProxy proxy = Start();

        string told = await AskAsync(proxy, "", version, "-cipher", "ALL:@SECLEVEL=0");

        Assert.Contains("alert protocol version", told);
    }

    /// <summary>Mozilla's "intermediate" without finite-field ciphers, which need parameters of their own.</summary>
    [Fact]
    public async Task Ciphers_of_tls_1_2_are_those_of_mozilla_with_forward_secrecy_and_no_other()
    {
        await using TestProxy proxy = Start();
        string[] all = (await RunAsync("", "ciphers", "-s", "-tls1_2", "ALL:COMPLEMENTOFALL:eNULL:@SECLEVEL=0"))
            .Trim().Split(':');
        List<string> accepted = [];
        foreach (string cipher in all.Where(static one => !one.StartsWith("TLS_", StringComparison.Ordinal)))
        {
            string told = await AskAsync(proxy, "", "-tls1_2", "-cipher", cipher + ":@SECLEVEL=0");
            if (told.Contains($"Cipher is {cipher}", StringComparison.Ordinal))
            {
                accepted.Add(cipher);
            }
        }

        output.WriteLine($"{all.Length} tried, accepted: {string.Join(' ', accepted)}");
        Assert.True(all.Length > 50, "openssl knows weak ciphers, too");
        Assert.Equal(
            [
                "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
                "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305",
            ],
            accepted.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Nothing_is_compressed_and_no_early_data_is_taken()
    {
        await using TestProxy proxy = Start();

        string twelve = await AskAsync(proxy, "", "-tls1_2", "-comp");
        string thirteen = await AskAsync(proxy, Request, "-tls1_3", "-ign_eof"); // tickets come with the response

        Assert.Contains("Compression: NONE", twelve);
        Assert.Contains("Secure Renegotiation IS supported", twelve); // RFC 5746: it says so, and rejects each
        Assert.Contains("Extended master secret: yes", twelve);
        Assert.Contains("Max Early Data: 0", thirteen);
    }

    [Fact]
    public async Task Renegotiation_is_rejected()
    {
        await using TestProxy proxy = Start();

        string told = await AskAsync(proxy, "R\n", "-tls1_2");

        Assert.Contains("RENEGOTIATING", told);
        Assert.Contains("no renegotiation", told);
    }

    [Theory]
    [InlineData("X25519", "Verify return code: 0 (ok)")]
    [InlineData("P-256", "Verify return code: 0 (ok)")]
    [InlineData("P-384", "Verify return code: 0 (ok)")]
    [InlineData("P-521", "alert handshake failure")]
    [InlineData("ffdhe2048", "alert handshake failure")]
    public async Task Groups_are_those_of_mozilla_and_others_are_rejected(string group, string told)
    {
        await using TestProxy proxy = Start();

        Assert.Contains(told, await AskAsync(proxy, "", "-tls1_3", "-groups", group));
    }

    [Theory]
    [InlineData("-tls1_2")]
    [InlineData("-tls1_3")]
    public async Task Session_is_resumed_by_a_ticket_also_after_a_reload(string version)
    {
        await using TestProxy proxy = Start();
        string file = Path.GetTempFileName();
        try
        {
            Assert.Contains("New, ", await AskAsync(proxy, Request, version, "-ign_eof", "-sess_out", file));
            ProxyConfig config = proxy.Server.Config;
            proxy.Apply(config with
            {
                Listeners = [config.Listeners[0] with
                {
                    Tls = new() { Certificates = [TestAuthority.Shared.Issue("localhost").Config()] },
                }],
            });

            Assert.Contains("Reused, ", await AskAsync(proxy, Request, version, "-ign_eof", "-sess_in", file));
        }
        finally
        {
            File.Delete(file);
        }
    }

    private TestProxy Start()
    {
        ProxyConfig config = TestProxy.Config(_backend.Port);
        TestAuthority authority = TestAuthority.Shared;
        return new(config with
        {
            Listeners = [config.Listeners[0] with
            {
                Tls = new()
                {
                    Certificates =
                    [
                        authority.Issue("localhost").Config(), authority.Issue(["localhost"], rsa: true).Config(),
                    ],
                },
            }],
        });
    }

    /// <summary>What <c>openssl s_client</c> says.</summary>
    private static async Task<string> AskAsync(TestProxy proxy, string input, params string[] options)
    {
        string authority = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(authority, TestAuthority.Shared.Pem);
            return await RunAsync(input,
                ["s_client", "-connect", proxy.Url.Authority, "-servername", "localhost", "-CAfile", authority,
                    .. options]);
        }
        finally
        {
            File.Delete(authority);
        }
    }

    private static async Task<string> RunAsync(string input, params string[] words)
    {
        using Process process = Process.Start(new ProcessStartInfo("openssl", words)
        {
            UseShellExecute = false,
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        Task<string> one = process.StandardOutput.ReadToEndAsync(), other = process.StandardError.ReadToEndAsync();
        try
        {
            await process.StandardInput.WriteAsync(input);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It has ended already.
        }
        await process.WaitForExitAsync();
        return await one + await other;
    }
}
