using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>An operator changes the configuration of a running Penstock and looks at what is in force.</summary>
public sealed class ConfigScenarios : ProgramScenarios
{
    [Fact]
    public async Task Change_of_the_file_takes_effect_and_is_logged_and_an_error_changes_nothing()
    {
        await using var one = ScriptedBackend.Always("one");
        await using var two = ScriptedBackend.Always("two");
        string file = Path.Combine(Folder, "penstock.yaml");
        Write(file, one.Port, "rate: 100/s");
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run", "--config", file);
        Assert.Equal("one", await BodyAsync());

        Write(file, two.Port, "rate: 50/s");
        await Eventually.TrueAsync(async () => await BodyAsync() == "two", "the change takes effect");
        foreach (string change in (string[])[
            $"- backend web/127.0.0.1:{one.Port}", $"+ backend web/127.0.0.1:{two.Port}",
            "~ limits.default.rate 100/s -> 50/s", $"{file} changed"])
        {
            await Eventually.TrueAsync(() => penstock.Lines.Any(
                line => line.Contains(change, StringComparison.Ordinal)), change);
        }

        Write(file, one.Port, "rate: 1"); // a rate needs a unit
        await Eventually.TrueAsync(() => penstock.Lines.Any(static line => line.Contains("\"event\":\"reload_failed\"",
            StringComparison.Ordinal)), "the error is logged");
        Assert.Equal("two", await BodyAsync());
        Assert.True((await ConfigAsync()).GetProperty("reload_failed").GetBoolean());
        int failures = Failures();

        Write(file, one.Port, "rate: 60/s");
        await Eventually.TrueAsync(async () => await BodyAsync() == "one", "the correction takes effect");
        await Eventually.TrueAsync(async () => !(await ConfigAsync()).GetProperty("reload_failed").GetBoolean(),
            "the reload is over");
        Assert.Equal(failures, Failures()); // an error is reported once, not at every comparison

        int Failures() => penstock.Lines.Count(static line =>
            line.Contains("not reloaded", StringComparison.Ordinal));
    }

    /// <summary>As Kubernetes changes a mounted ConfigMap, and a secret beside it.</summary>
    [Fact]
    public async Task Directory_that_a_symbolic_link_replaces_is_read_again()
    {
        await using var one = ScriptedBackend.Always("one");
        await using var two = ScriptedBackend.Always("two");
        string mount = Directory.CreateDirectory(Path.Combine(Folder, "etc")).FullName;
        Version("1", one.Port);
        Version("2", two.Port);
        string link = Path.Combine(mount, "..data");
        File.CreateSymbolicLink(link, Path.Combine(mount, "..1"));
        File.CreateSymbolicLink(Path.Combine(mount, "10.yaml"), "..data/10.yaml");
        File.CreateSymbolicLink(Path.Combine(mount, "20.yaml"), "..data/20.yaml");
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run", "--config", mount);
        Assert.Equal("one", await BodyAsync());

        File.CreateSymbolicLink(link + "_tmp", Path.Combine(mount, "..2"));
        using (var move = Process.Start("mv", ["-T", link + "_tmp", link]))
        {
            await move.WaitForExitAsync();
        }

        await Eventually.TrueAsync(async () => await BodyAsync() == "two", "the other version takes effect");
        JsonElement backend = (await ConfigAsync()).GetProperty("settings").EnumerateArray()
            .Single(static s => s.GetProperty("key").GetString() == "upstreams.web.backends[0].url");
        Assert.Equal(Path.Combine(mount, "20.yaml") + ":1", backend.GetProperty("origin").GetString());

        void Version(string name, int port)
        {
            string folder = Directory.CreateDirectory(Path.Combine(mount, ".." + name)).FullName;
            File.WriteAllText(Path.Combine(folder, "10.yaml"), Common);
            File.WriteAllText(Path.Combine(folder, "20.yaml"),
                $"upstreams: {{ web: {{ backends: [127.0.0.1:{port}] }} }}");
        }
    }

    [Fact]
    public async Task Change_of_the_file_waits_for_a_signal_where_watching_is_off()
    {
        await using var one = ScriptedBackend.Always("one");
        await using var two = ScriptedBackend.Always("two");
        string file = Path.Combine(Folder, "penstock.yaml");
        Write(file, one.Port, "rate: 100/s", "watch: false");
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run", "--config", file);

        Write(file, two.Port, "rate: 100/s", "watch: true");
        for (int i = 0; i < 30; i++) // three comparisons would be enough
        {
            Assert.Equal("one", await BodyAsync());
            await Task.Delay(100);
        }
        penstock.Signal("HUP");
        await Eventually.TrueAsync(async () => await BodyAsync() == "two", "the signal reloads");

        Write(file, one.Port, "rate: 100/s", "watch: true");
        await Eventually.TrueAsync(async () => await BodyAsync() == "one", "watching was turned on by the reload");
    }

    [Fact]
    public async Task Configuration_in_force_can_be_read_as_yaml_and_started_again()
    {
        await using var backend = ScriptedBackend.Always("ok");
        string file = Path.Combine(Folder, "penstock.yaml");
        Write(file, backend.Port, "rate: 100/s");
        string yaml;
        await using (await PenstockProcess.StartedAsync(Folder, "run", "--config", file))
        {
            var request = new HttpRequestMessage(HttpMethod.Get, new Uri(Admin, "config"));
            request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/yaml"));
            yaml = await (await Http.SendAsync(request)).Content.ReadAsStringAsync();
        }
        Assert.Contains($"rate: 100/s # {file}:2", yaml);
        Assert.Contains("connect: 2s # default", yaml);

        await File.WriteAllTextAsync(file, yaml);
        await using PenstockProcess again = await PenstockProcess.StartedAsync(Folder, "run", "--config", file);
        Assert.Equal("ok", await BodyAsync());
    }

    private string Common => $$"""
        listen: 127.0.0.1:{{Port}}
        admin: { listen: 127.0.0.1:{{AdminPort}} }
        store: memory
        """;

    private void Write(string file, int backend, string rate, string more = "") => File.WriteAllText(file, $$"""
        upstreams: { web: { backends: [127.0.0.1:{{backend}}] } }
        limits: { default: { capacity: 100000, {{rate}} } }
        {{Common}}
        {{more}}
        """);

    private async Task<string> BodyAsync() => await (await GetAsync("/")).Content.ReadAsStringAsync();

    private Task<JsonElement> ConfigAsync() => Http.GetFromJsonAsync<JsonElement>(new Uri(Admin, "config"));
}
