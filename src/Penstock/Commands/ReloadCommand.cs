using System.CommandLine;
using System.Text.Json;
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
            AdminAnswer answer = await admin.SendAsync(HttpMethod.Post, "/reload");
            if (answer.Fault is not null)
            {
                return Failed(terminal, answer);
            }

            return !admin.TryRead(answer, AdminJson.Types.Reloaded, out Reloaded? reloaded, out string fault)
                ? terminal.Fail(fault)
                : api.Print(parse, answer.Body, () => Write(terminal, reloaded));
        }));
        return command;
    }

    private static void Write(Terminal terminal, Reloaded reloaded)
    {
        WriteRemarks(terminal, "warning", reloaded.Warnings);
        terminal.Out.WriteLine(reloaded.RestartNeeded.Count == 0 ? "reloaded"
            : "reloaded; these keys have changed, but take effect only after a restart: "
                + string.Join(", ", reloaded.RestartNeeded));
    }

    private static int Failed(Terminal terminal, AdminAnswer answer)
    {
        ApiError? error = null;
        try
        {
            error = answer.Body.Deserialize(AdminJson.Types.ApiError);
        }
        catch (JsonException)
        {
            // the fault says already what the API answered
        }
        WriteRemarks(terminal, "error", error?.Errors ?? []);
        return terminal.Fail(answer.Fault!, answer.Status == 400 ? ExitCode.Usage : ExitCode.Failure);
    }

    private static void WriteRemarks(Terminal terminal, string severity, IReadOnlyList<FieldFault> remarks)
    {
        foreach (FieldFault remark in remarks)
        {
            terminal.Error.WriteLine(Terminal.Plain($"{remark.Field}: {severity}: {remark.Message}"));
        }
    }
}
