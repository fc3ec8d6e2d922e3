using System.Text;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>Clients are imported and exported as a file, with the real program as server and as command.</summary>
public sealed class ClientFileScenarios : ProgramScenarios
{
    private string Clients => Path.Combine(Folder, "clients.csv");

    [Fact]
    public async Task Clients_of_a_file_are_held_to_their_limits_and_come_out_as_they_went_in()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using PenstockProcess penstock = await StartAsync(backend.Port);
        var file = new StringBuilder("rate_per_sec,client_id,capacity,current_tokens\r\n0.001,user1,5,2\r\n");
        for (int i = 0; i < 5000; i++)
        {
            file.Append($"0.5,\"name \"\"{i:d4}\"\", ключ\",{i + 10},\r\n");
        }
        await File.WriteAllTextAsync(Clients, "\uFEFF" + file);

        Assert.Equal((0, $"{Clients} is valid: it would create 5001, update 0 and not change 0 clients"),
            await ClientsAsync($"import {Clients} --dry-run"));
        Assert.Equal((0, "5001 created, 0 updated, 0 unchanged"), await ClientsAsync($"import {Clients}"));
        var statuses = new List<int>();
        for (int i = 0; i < 3; i++)
        {
            statuses.Add(await StatusAsync("user1"));
        }
        Assert.Equal([200, 200, 429], statuses);

        foreach (string format in new[] { "csv", "jsonl" })
        {
            string first = Path.Combine(Folder, "first." + format);
            string second = Path.Combine(Folder, "second." + format);
            Assert.Equal((0, ""), await ClientsAsync($"export {first}"));
            Assert.Equal((0, "0 created, 0 updated, 5000 unchanged"),
                await ClientsAsync($"import - --format {format} < <(grep -v user1 {first})"));
            Assert.Equal((0, ""), await ClientsAsync($"export - --format {format} > {second}"));
            Assert.Equal(Others(first), Others(second));
            Assert.Equal(5000, Others(first).Count(static line => line.Contains("ключ", StringComparison.Ordinal)));
        }
        Assert.Equal(4, penstock.Lines.Count(static l =>
            l.Contains("POST /clients/import was answered 200; ", StringComparison.Ordinal)));
        penstock.Signal("TERM");
        Assert.Equal(0, await penstock.ExitCodeAsync());
    }

    [Fact]
    public async Task File_with_faults_is_told_line_by_line_and_changes_nothing()
    {
        await using PenstockProcess penstock = await StartAsync(9);
        await File.WriteAllTextAsync(Clients, "client_id,capacity,rate_per_sec\nuser1,1,1\nuser1,0,1\n\"user2,1,1\n");

        Assert.Equal((2, $"""
            {Clients}:3: capacity must be from 1 to 1000000000
            {Clients}:3: client_id 'user1' is the same as in line 2
            {Clients}:4: a quoted field does not end
            error: nothing was imported from {Clients}
            """), await ClientsAsync($"import {Clients} 2>&1"));
        Assert.Equal((0, "client_id,capacity,rate_per_sec,current_tokens,plan,access,limits"),
            await ClientsAsync("export --format csv"));

        await File.WriteAllTextAsync(Clients, "client_id,capacity,rate_per_sec\nuser1,1,1\n");
        Assert.Equal((0, "1 created, 0 updated, 0 unchanged"), await ClientsAsync($"import {Clients} --mode create"));
        Assert.Equal((1, $"{Clients}:2: client 'user1' exists already\nerror: nothing was imported from {Clients}"),
            await ClientsAsync($"import {Clients} --mode create 2>&1"));
    }

    private Task<PenstockProcess> StartAsync(int backend) => PenstockProcess.StartedAsync(Folder, "proxy",
        "--listen", $"127.0.0.1:{Port}", "--admin", $"127.0.0.1:{AdminPort}", "--to", $"http://127.0.0.1:{backend}");

    /// <summary>Runs <c>penstock clients</c> in a shell.</summary>
    private async Task<(int Code, string Said)> ClientsAsync(string words)
    {
        string said = Path.Combine(Folder, "said");
        string program = Path.Combine(AppContext.BaseDirectory, "penstock.dll");
        await using PenstockProcess run = PenstockProcess.StartShell(
            $"{{ dotnet '{program}' clients --admin {Admin} {words}; }} > {said}");
        int code = await run.ExitCodeAsync();
        return (code, (await File.ReadAllTextAsync(said)).TrimEnd());
    }

    private static IEnumerable<string> Others(string file) =>
        File.ReadLines(file).Where(static line => !line.Contains("user1", StringComparison.Ordinal));

    private async Task<int> StatusAsync(string client)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, Proxy);
        request.Headers.Add("X-Client-ID", client);
        using HttpResponseMessage response = await Http.SendAsync(request);
        return (int)response.StatusCode;
    }
}
