using System.CommandLine;
using System.Text.Json.Nodes;
using Penstock.Control.Admin;

namespace Penstock.Commands;

/// <content><c>penstock clients import</c> and <c>export</c>: all clients as one file.</content>
internal sealed partial class ClientsCommand
{
    /// <summary>Enough for a million clients in a slow store.</summary>
    private const int FileTimeoutSeconds = 600;

    private PenstockCommand Import()
    {
        Argument<string> file = FileArgument("The file to read; - for the standard input");
        file.Arity = ArgumentArity.ExactlyOne;
        Option<string?> format = FileFormat();
        Option<string> mode =
            OptionSyntax.OneOf("--mode", "If clients exist already: change them, or reject the whole file",
            "upsert", "create");
        var dryRun = new Option<bool>("--dry-run") { Description = "Change nothing, only report what would change" };
        var command = new PenstockCommand("import", "Create or change many clients: all of them or, if there is any "
            + "fault, none.",
            "penstock clients import clients.csv --dry-run",
            "penstock clients import - --format jsonl --mode create < clients.jsonl")
        { file, format, mode, dryRun, _api.Json };
        command.SetAction(parse => _api.WithAsync(parse, admin => ImportAsync(
            parse, admin, parse.GetRequiredValue(file),
            $"/clients/import?mode={parse.GetValue(mode)}&dry_run={(parse.GetValue(dryRun) ? "true" : "false")}",
            parse.GetValue(format), parse.GetValue(dryRun)), FileTimeoutSeconds));
        return command;
    }

    private async Task<int> ImportAsync(
        ParseResult parse, AdminClient admin, string name, string path, string? format, bool dryRun)
    {
        using Stream clients = name == "-" ? await InputAsync() : CommandFile.Read(name);
        string type = FormatOf(format, name) == "csv" ? ClientFileEndpoints.Csv : ClientFileEndpoints.JsonLines;
        string shown = name == "-" ? "stdin" : name;
        AdminAnswer answer = await ProgressBar.ShowAsync(_terminal, $"importing {shown}",
            ProgressBar.LengthOf(clients), done => admin.UploadAsync(path, new ReportingStream(clients, done), type));
        return Report(parse, answer, shown, dryRun);
    }

    private PenstockCommand Export()
    {
        Argument<string> file = FileArgument("The file to write; - or nothing for the standard output");
        file.DefaultValueFactory = _ => "-";
        Option<string?> format = FileFormat();
        var force = new Option<bool>("--force") { Description = "Replace a file that exists" };
        var command = new PenstockCommand("export", "Write all clients to a file, ordered by id.",
            "penstock clients export backup.csv",
            "penstock clients export --format csv | grep -c .",
            "penstock clients export backup.csv --force") { file, format, force };
        command.SetAction(parse =>
        {
            (string name, string? written) = (parse.GetRequiredValue(file), parse.GetValue(format));
            return name != "-" && CommandFile.TakenFault(name, parse.GetValue(force)) is { } taken
                ? Task.FromResult(_terminal.Fail(taken, ExitCode.Usage))
                : _api.WithAsync(parse, admin => ExportAsync(admin, name, written), FileTimeoutSeconds);
        });
        return command;
    }

    private async Task<int> ExportAsync(AdminClient admin, string name, string? format)
    {
        try
        {
            return await WriteAsync(admin, name, format);
        }
        catch (Exception failure) when (CommandFile.IsExpected(failure))
        {
            return _terminal.Fail(CommandFile.CannotWrite(name == "-" ? "the output" : name, failure));
        }
    }

    private async Task<int> WriteAsync(AdminClient admin, string name, string? format)
    {
        bool begun = false;
        // A bar among the clients on the same terminal would make both unreadable.
        Terminal terminal = name == "-" && _terminal.Interactive ? _terminal with { CanRedraw = false } : _terminal;
        AdminAnswer answer = await ProgressBar.ShowAsync(terminal, "exporting", null, done => admin.DownloadAsync(
            $"/clients/export?format={FormatOf(format, name)}", () =>
            {
                begun = true;
                return new ReportingStream(
                    name == "-" ? _terminal.OpenOutput() : new FileStream(name, ForOwner), done);
            }));
        return answer.Fault is null ? ExitCode.Ok
            : _terminal.Fail(begun ? $"{answer.Fault}; {(name == "-" ? "the output" : name)} is incomplete"
                : answer.Fault);
    }

    /// <summary>Only the owner may read a new file, because client ids are usually API keys.</summary>
    private static readonly FileStreamOptions ForOwner = new()
    {
        Mode = FileMode.Create,
        Access = FileAccess.Write,
        UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
    };

    private static Argument<string> FileArgument(string description) => new("FILE") { Description = description };

    private static Option<string?> FileFormat() => OptionSyntax.Read("--format", "csv|jsonl",
        "The format of the file [default: by its extension, otherwise jsonl]",
        (string text, out string? value, out string error) =>
        {
            value = text;
            error = $"'{text}' is not one of csv, jsonl";
            return text is "csv" or "jsonl";
        });

    private static string FormatOf(string? format, string file) =>
        format ?? (Path.GetExtension(file).Equals(".csv", StringComparison.OrdinalIgnoreCase) ? "csv" : "jsonl");

    /// <summary>Reads the standard input before it is sent, because the API rejects a file that is too large at once
    /// only if the request has a length. Stops just above the maximum size of an import.</summary>
    private async Task<Stream> InputAsync()
    {
        using Stream input = _terminal.OpenInput();
        var all = new MemoryStream();
        byte[] buffer = new byte[64 * 1024];
        for (int count; all.Length <= ClientFileEndpoints.MaxImportBytes
            && (count = await input.ReadAsync(buffer)) > 0;)
        {
            all.Write(buffer, 0, count);
        }

        all.Position = 0;
        return all;
    }

    private int Report(ParseResult parse, AdminAnswer answer, string name, bool dryRun)
    {
        if (answer.Fault is null)
        {
            var body = answer.Body as JsonObject;
            (JsonNode? created, JsonNode? updated, JsonNode? unchanged) =
                (body?["created"], body?["updated"], body?["unchanged"]);
            int code = _api.Print(parse, body, () => _terminal.Out.WriteLine(dryRun
                ? $"{name} is valid: it would create {created}, update {updated} and not change {unchanged} "
                    + (unchanged?.ToString() == "1" ? "client" : "clients")
                : $"{created} created, {updated} updated, {unchanged} unchanged"));
            Warn(answer);
            return code;
        }
        if (answer.Body?["errors"] is not JsonArray { Count: > 0 } faults)
        {
            return _terminal.Fail(answer.Fault);
        }

        foreach (JsonNode? fault in faults)
        {
            string place = (string?)fault?["field"] ?? "";
            place = place.StartsWith("line ", StringComparison.Ordinal) ? $"{name}:{place[5..]}" : place;
            _terminal.Error.WriteLine(Terminal.Plain($"{place}: "
                + (string?)fault?["message"])
                .Replace(ClientRows.SendAsCsv, "give --format csv", StringComparison.Ordinal)
                .Replace(ClientRows.SendAsJsonLines, "give --format jsonl", StringComparison.Ordinal));
        }
        if ((int?)answer.Body["more"] is { } more)
        {
            _terminal.Error.WriteLine($"{name}: and {more} more");
        }

        return _terminal.Fail($"nothing was imported from {name}",
            answer.Status == 400 ? ExitCode.Usage : ExitCode.Failure);
    }
}
