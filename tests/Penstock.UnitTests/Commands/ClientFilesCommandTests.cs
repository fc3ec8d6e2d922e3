using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Penstock.Commands;
using Xunit;

namespace Penstock.UnitTests.Commands;

/// <summary><c>clients import</c> and <c>clients export</c> against an admin API whose every answer a test writes
/// itself.</summary>
public sealed class ClientFilesCommandTests : IAsyncLifetime
{
    private const string Done = """{"created":3,"updated":2,"unchanged":1}""";

    private readonly WebApplication _admin = FakeAdminApi.QuietApplication();
    private readonly string _folder = Directory.CreateTempSubdirectory("penstock-test-").FullName;
    private readonly List<string> _requests = [];
    private readonly MemoryStream _output = new();
    private (int Status, string Body) _answer = (200, Done);
    private bool _breakOff;
    private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string _input = "";

    public async ValueTask InitializeAsync()
    {
        _admin.Urls.Add("http://127.0.0.1:0");
        _admin.Run(AnswerAsync);
        await _admin.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _admin.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData("clients.csv", "", "text/csv", "mode=upsert&dry_run=false")]
    [InlineData("clients.CSV", "--mode create", "text/csv", "mode=create&dry_run=false")]
    [InlineData("clients.jsonl", "--dry-run", "application/x-ndjson", "mode=upsert&dry_run=true")]
    [InlineData("clients", "", "application/x-ndjson", "mode=upsert&dry_run=false")]
    [InlineData("clients.txt", "--format csv", "text/csv", "mode=upsert&dry_run=false")]
    [InlineData("clients.csv", "--format jsonl", "application/x-ndjson", "mode=upsert&dry_run=false")]
    public async Task Import_sends_the_file_as_what_it_is(string name, string options, string type, string query)
    {
        string file = Path.Combine(_folder, name);
        await File.WriteAllTextAsync(file, "\uFEFFключ\r\n");

        CommandRun run = await RunAsync(
            ["import", file, .. options.Split(' ', StringSplitOptions.RemoveEmptyEntries)]);

        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.Equal($"POST /clients/import?{query} {type} \uFEFFключ\r\n", _requests.Single());
        Assert.Equal(query.EndsWith("true", StringComparison.Ordinal)
            ? $"{file} is valid: it would create 3, update 2 and not change 1 client\n"
            : "3 created, 2 updated, 1 unchanged\n", run.Out);
    }

    [Fact]
    public async Task Import_can_report_as_json()
    {
        CommandRun run = await RunAsync("import", "-", "--json");

        Assert.Equal((0, 3), (run.Code, (int?)JsonNode.Parse(run.Out)!["created"]));
    }

    [Fact]
    public async Task Import_of_the_input_sends_it()
    {
        _input = "a,b\n";

        CommandRun run = await RunAsync("import", "-", "--format", "csv");

        Assert.Equal(0, run.Code);
        Assert.Equal("POST /clients/import?mode=upsert&dry_run=false text/csv a,b\n", _requests.Single());
    }

    [Theory]
    [InlineData(400, 2)]
    [InlineData(409, 1)]
    public async Task Faults_are_told_with_file_and_line(int status, int code)
    {
        string file = Path.Combine(_folder, "a b.csv");
        await File.WriteAllTextAsync(file, "x");
        _answer = (status, """
            {"code":400,"message":"all of it","more":7,"errors":[
             {"field":"line 3","message":"capacity is required"},{"field":"line 12","message":"evil \u001b[31m"}]}
            """);

        CommandRun run = await RunAsync("import", file);

        Assert.Equal((code, ""), (run.Code, run.Out));
        Assert.Equal($"{file}:3: capacity is required\n{file}:12: evil ?[31m\n{file}: and 7 more\n"
            + $"error: nothing was imported from {file}\n", run.Error);
    }

    [Fact]
    public async Task Faults_of_the_input_are_told_as_such()
    {
        _answer = (400, """{"code":400,"message":"m","errors":[{"field":"line 1","message":"is bad"}]}""");

        Assert.StartsWith("stdin:1: is bad\n", (await RunAsync("import", "-")).Error);
    }

    [Theory]
    [InlineData(503, "the client store is unavailable")]
    [InlineData(413, "the body is larger")]
    public async Task Import_that_cannot_be_done_exits_1_and_says_why(int status, string message)
    {
        _answer = (status, $$"""{"code":{{status}},"message":"{{message}}"}""");

        CommandRun run = await RunAsync("import", "-");

        Assert.Equal((1, $"error: {message}\n"), (run.Code, run.Error));
    }

    [Fact]
    public async Task Import_of_a_missing_file_exits_1_and_sends_nothing()
    {
        string file = Path.Combine(_folder, "nothing.csv");

        CommandRun run = await RunAsync("import", file);

        Assert.Equal((1, $"error: cannot read {file}: there is no such file\n"), (run.Code, run.Error));
        Assert.Empty(_requests);
    }

    [Theory]
    [InlineData("import")]
    [InlineData("import", "-", "--mode", "replace")]
    [InlineData("import", "-", "--format", "json")]
    [InlineData("export", "--format", "text")]
    public async Task Command_line_that_is_wrong_exits_2(params string[] args)
    {
        Assert.Equal(2, (await RunAsync(args)).Code);
        Assert.Empty(_requests);
    }

    [Theory]
    [InlineData("clients.csv", "csv")]
    [InlineData("clients.jsonl", "jsonl")]
    public async Task Export_writes_what_the_api_answers(string name, string format)
    {
        string file = Path.Combine(_folder, name);
        await File.WriteAllTextAsync(file, "something longer that was there before");
        _answer = (200, "ключ\r\nb\n");

        CommandRun taken = await RunAsync("export", file);
        CommandRun run = await RunAsync("export", file, "--force");

        Assert.Equal((2, $"error: {file} exists; --force replaces it\n"), (taken.Code, taken.Error));
        Assert.Equal((0, "", ""), (run.Code, run.Out, run.Error));
        Assert.Equal($"GET /clients/export?format={format}  ", _requests.Single());
        Assert.Equal("ключ\r\nb\n", await File.ReadAllTextAsync(file));
    }

    [Theory]
    [InlineData("/nowhere/x.csv", "there is no such folder")]
    [InlineData("/tmp", "it is a folder")]
    [InlineData("/dev/full", "the disk is full")]
    public async Task Export_to_a_file_that_cannot_be_written_says_why(string file, string cause)
    {
        _answer = (200, "client_id\n");

        CommandRun run = await RunAsync("export", file);

        Assert.Equal((1, $"error: cannot write {file}: {cause}\n"), (run.Code, run.Error));
    }

    [Fact]
    public async Task Export_to_an_empty_file_needs_no_force()
    {
        string file = Path.Combine(_folder, "made-by-mktemp");
        await File.WriteAllTextAsync(file, "");

        Assert.Equal(0, (await RunAsync("export", file)).Code);
        Assert.NotEqual("", await File.ReadAllTextAsync(file));
    }

    [Fact]
    public async Task Faults_of_the_form_are_told_in_the_words_of_the_command()
    {
        string file = Path.Combine(_folder, "i.txt");
        await File.WriteAllTextAsync(file, "x");
        _answer = (400, """
            {"code":400,"message":"all of it","errors":[{"field":"line 1",
             "message":"is not JSON: …; if this is CSV, send it as text/csv"}]}
            """);

        Assert.StartsWith($"{file}:1: is not JSON: …; if this is CSV, give --format csv\n",
            (await RunAsync("import", file)).Error);
    }

    [Theory]
    [InlineData(1, "1 client")]
    [InlineData(2, "2 clients")]
    public async Task Import_that_is_only_tried_counts_what_stays(int count, string told)
    {
        _answer = (200, $$"""{"created":0,"updated":0,"unchanged":{{count}}}""");

        Assert.EndsWith($"not change {told}\n", (await RunAsync("import", "-", "--dry-run")).Out);
    }

    [Theory]
    [InlineData("jsonl", "export")]
    [InlineData("jsonl", "export", "-")]
    [InlineData("csv", "export", "--format", "csv")]
    public async Task Export_without_a_file_writes_to_the_output(string format, params string[] args)
    {
        _answer = (200, "ключ\n");

        CommandRun run = await RunAsync(args);

        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.Equal($"GET /clients/export?format={format}  ", _requests.Single());
        Assert.Equal("ключ\n", Encoding.UTF8.GetString(_output.ToArray()));
    }

    [Fact]
    public async Task Export_that_is_rejected_leaves_the_file_alone()
    {
        string file = Path.Combine(_folder, "clients.csv");
        await File.WriteAllTextAsync(file, "before");
        _answer = (503, """{"code":503,"message":"the client store is unavailable"}""");

        CommandRun run = await RunAsync("export", file, "--force");

        Assert.Equal((1, "error: the client store is unavailable\n"), (run.Code, run.Error));
        Assert.Equal("before", await File.ReadAllTextAsync(file));
    }

    [Fact]
    public async Task Export_that_breaks_off_exits_1_and_says_that_the_file_is_incomplete()
    {
        _answer = (200, "client_id\n");
        _breakOff = true;

        CommandRun run = await RunAsync("export", "-");

        Assert.Equal(1, run.Code);
        Assert.StartsWith($"error: the connection to the admin API at {_admin.Urls.Single()} failed: ", run.Error);
        Assert.EndsWith("; the output is incomplete\n", run.Error);
    }

    private async Task<CommandRun> RunAsync(params string[] args)
    {
        (StringWriter output, StringWriter error) = (new StringWriter(), new StringWriter());
        var terminal = new Terminal(output, error)
        {
            Environment = name => name == "PENSTOCK_ADMIN" ? _admin.Urls.Single() : null,
            OpenInput = () => new MemoryStream(Encoding.UTF8.GetBytes(_input)),
            OpenOutput = () =>
            {
                _begun.TrySetResult();
                return _output;
            },
        };
        int code = await RootCommandLine.RunAsync(["clients", .. args], terminal);
        return new(code, output.ToString(), error.ToString());
    }

    private async Task AnswerAsync(HttpContext context)
    {
        HttpRequest request = context.Request;
        using var body = new MemoryStream();
        await request.Body.CopyToAsync(body);
        _requests.Add($"{request.Method} {request.Path}{request.QueryString} {request.ContentType} "
            + Encoding.UTF8.GetString(body.ToArray()));
        context.Response.StatusCode = _answer.Status;
        await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(_answer.Body));
        await context.Response.Body.FlushAsync();
        if (_breakOff)
        {
            await _begun.Task; // a reset can overtake the head
            context.Abort();
        }
    }
}
