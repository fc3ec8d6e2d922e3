using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Penstock.IntegrationTests.Scenarios;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Soak;

/// <summary>Certificates of the real program that change, and handshakes that do not end, while it works.</summary>
[Trait("tls", "no")]
public sealed class CertificateScenarios(ITestOutputHelper output) : ProgramScenarios
{
    private const int Reloads = 200;
    private const string Request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    private readonly TestCertificate[] _certificates =
        [.. Enumerable.Range(0, 8).Select(static _ => TestAuthority.Shared.Issue("localhost", "127.0.0.1"))];

    [Fact]
    public async Task Two_hundred_new_certificates_under_load_fail_no_request_and_old_connections_live_on()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using PenstockProcess penstock = await StartAsync(backend.Port);
        await using var kept = new LoadRun(Url, clients: 2);
        await using var fresh = new LoadRun(Url, clients: 2, keepAlive: false);
        using SslStream old = Connect();
        for (int i = 1; i <= Reloads; i++)
        {
            WriteCertificate(i);
            HttpResponseMessage answer = await Http.PostAsync(new Uri(Admin, "reload"), null);
            Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
            await fresh.MoreAsync(4);
            using SslStream next = Connect();
            string newest = Thumbprint(_certificates[i % _certificates.Length]);
            Assert.Equal(newest, next.RemoteCertificate!.GetCertHashString());
        }
        await kept.StopAsync();
        await fresh.StopAsync();

        output.WriteLine($"{Reloads} reloads, {kept.Total} requests on kept connections, {fresh.Total} on new ones");
        kept.HadOnly(200);
        fresh.HadOnly(200);
        await old.WriteAsync(Encoding.ASCII.GetBytes(Request));
        Assert.StartsWith("HTTP/1.1 200", await new Wire(old).ReadHeadAsync());
    }

    /// <summary>Most have sent a part of the first message, some nothing or one byte. There are 10,000, or as many as
    /// the descriptors of this machine allow; two are counted for each client.</summary>
    [Fact]
    public async Task Ten_thousand_half_handshakes_cost_bounded_memory_and_others_are_served()
    {
        int half = (int)Math.Clamp((MaxDescriptors() / 2) - 1_000, 100, 10_000);
        await using var backend = ScriptedBackend.Always("ok");
        await using PenstockProcess penstock = await StartAsync(backend.Port, "timeouts: { handshake: 20s }");
        await using var load = new LoadRun(Url, clients: 2, keepAlive: false);
        await load.MoreAsync(100);
        long before = penstock.MemoryBytes;
        byte[] hello = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, .. new byte[89]]; // 100 of 517 bytes
        var sockets = new List<Socket>();
        for (int i = 0; i < half; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync("127.0.0.1", Port);
            await socket.SendAsync(hello.AsMemory(0, i % 10 > 1 ? hello.Length : i % 10));
            sockets.Add(socket);
        }
        await CountedAsync($"penstock_connections{{listener=\"127.0.0.1:{Port}\"}}", value => value >= sockets.Count);
        long more = penstock.MemoryBytes - before;
        await load.MoreAsync(100);

        output.WriteLine($"{sockets.Count} half handshakes: {more / 1024.0 / sockets.Count:F1} KiB for each");
        Assert.True(more < sockets.Count * 64L * 1024, $"{more} bytes");
        await CountedAsync($"penstock_tls_handshakes_total{{listener=\"127.0.0.1:{Port}\",result=\"timed_out\"}}",
            value => value == sockets.Count);
        await load.StopAsync();
        load.HadOnly(200);
        sockets.ForEach(static socket => socket.Dispose());
    }

    private Task CountedAsync(string series, Predicate<long> isSo) => Eventually.TrueAsync(async () =>
    {
        string line = (await Http.GetStringAsync(new Uri(Admin, "metrics"))).Split('\n')
            .First(line => line.StartsWith(series, StringComparison.Ordinal));
        return isSo(long.Parse(line.AsSpan(series.Length + 1), CultureInfo.InvariantCulture));
    }, series);

    private static long MaxDescriptors() => File.ReadLines("/proc/self/limits")
        .Where(static line => line.StartsWith("Max open files", StringComparison.Ordinal))
        .Select(static line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[4])
        .Select(static hard => hard == "unlimited" ? long.MaxValue : long.Parse(hard, CultureInfo.InvariantCulture))
        .Single();

    private Uri Url => new($"https://127.0.0.1:{Port}/");

    private static string Thumbprint(TestCertificate certificate)
    {
        using X509Certificate2 loaded = X509Certificate2.CreateFromPem(certificate.Chain);
        return loaded.Thumbprint;
    }

    private SslStream Connect() => TestTls.Secure(new TcpClient("127.0.0.1", Port).GetStream());

    private void WriteCertificate(int i)
    {
        TestCertificate one = _certificates[i % _certificates.Length];
        File.WriteAllText(Path.Combine(Folder, "own.crt"), one.Chain);
        File.WriteAllText(Path.Combine(Folder, "own.key"), one.Key);
    }

    private Task<PenstockProcess> StartAsync(int backend, string more = "")
    {
        WriteCertificate(0);
        string file = Path.Combine(Folder, "penstock.yaml");
        File.WriteAllText(file, $$"""
            listen:
              - { address: "127.0.0.1:{{Port}}", tls: { certificates: [{ cert: own.crt, key: own.key }] } }
            admin: { listen: 127.0.0.1:{{AdminPort}} }
            store: memory
            access_log: off
            watch: false
            limits: { default: { capacity: 1000000, rate: 1000000/s } }
            backends: [127.0.0.1:{{backend}}]
            {{more}}
            """);
        return PenstockProcess.StartedAsync(Folder, "run", "--config", file);
    }
}
