using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Penstock.Control.Admin;
using Penstock.Control.Store;

namespace Penstock.Commands;

/// <summary><c>penstock reload</c>: a running Penstock reads its configuration file again.</summary>
internal static class ReloadCommand
{
    public static Command Create(Terminal terminal)
    {
        var api = new AdminAccess(terminal);
        var command = new PenstockCommand("reload", "Make a running Penstock read its configuration file again. If the "
            + "file has an error, nothing changes, all errors are printed, and the exit code is 2.",
            "penstock reload",
            "penstock check penstock.yaml && penstock reload")
        { api.Json };
        api.AddTo(command);
        command.SetAction(parse => api.WithAsync(parse, async admin =>
        {
            (Reloaded? reloaded, JsonNode? body, string? fault) =
                await admin.AskAsync(HttpMethod.Post, "/reload", AdminJson.Answers.Reloaded);
            return reloaded is null ? Failed(terminal, body, fault!)
                : api.Print(parse, body, () => Write(terminal, reloaded));
        }));
        return command;
    }

    private static void Write(Terminal terminal, Reloaded reloaded)
    {
        WriteRemarks(terminal, "warning", reloaded.Warnings);
        foreach (string change in reloaded.Changes)
        {
            terminal.Out.WriteLine(Terminal.Plain(change));
        }

        terminal.Out.WriteLine((reloaded.Changes.Count == 0 ? "reloaded; nothing has changed" : "reloaded")
            + (reloaded.RestartNeeded.Count == 0 ? ""
                : "; these keys have changed, but take effect only after a restart: "
                    + string.Join(", ", reloaded.RestartNeeded)));
    }

    /// <param name="body">The error, if the API sent one.</param>
    private static int Failed(Terminal terminal, JsonNode? body, string fault)
    {
        ApiError? error = null;
        try
        {
            error = body.Deserialize(AdminJson.Answers.ApiError);
        }
        catch (JsonException)
        {
            // the fault says already what the API answered
        }
        WriteRemarks(terminal, "error", error?.Errors ?? []);
        return terminal.Fail(fault, error?.Code == 400 ? ExitCode.Usage : ExitCode.Failure);
    }

    private static void WriteRemarks(Terminal terminal, string severity, IReadOnlyList<FieldFault> remarks)
    {
        foreach (FieldFault remark in remarks)
        {
            terminal.Error.WriteLine(Terminal.Plain($"{remark.Field}: {severity}: {remark.Message}"));
        }
    }
}
