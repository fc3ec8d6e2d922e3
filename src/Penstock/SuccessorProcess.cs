using System.Diagnostics;
using Microsoft.Extensions.Logging;

namespace Penstock;

/// <summary>Starts the program again, from its file on disk and with the same arguments, to take over from this
/// process: the file may be a new version by now.</summary>
/// <param name="handedOver">Completes when it has taken over; how it ends later does not matter here.</param>
internal sealed class SuccessorProcess(Task handedOver, ILogger log)
{
    public const string Option = "--takeover";

    private readonly string? _program = Environment.ProcessPath; // read now: a replaced file counts as deleted later
    private int _running;

    /// <summary>Starts it and watches that it does not fail. Does nothing while one is starting.</summary>
    public void Start()
    {
        if (Interlocked.Exchange(ref _running, 1) == 0)
        {
            _ = RunAsync();
        }
    }

    private async Task RunAsync()
    {
        try
        {
            using Process successor = Process.Start(HowToStart())!;
            await successor.WaitForExitAsync();
            if (!handedOver.IsCompleted)
            {
                log.LogWarning(Events.SuccessorFailed, "the new process {Process} has ended with exit code {Code} and "
                    + "has not taken over: this process continues", successor.Id, successor.ExitCode);
            }
        }
        catch (Exception e) when (e is System.ComponentModel.Win32Exception or InvalidOperationException)
        {
            log.LogWarning(Events.SuccessorFailed, "{Program} cannot be started: {Cause}", _program, e.Message);
        }
        finally
        {
            Volatile.Write(ref _running, 0);
        }
    }

    private ProcessStartInfo HowToStart()
    {
        string[] arguments = Environment.GetCommandLineArgs();
        bool byHost = Path.GetFileName(_program) == "dotnet"; // then the first argument is the program
        var start = new ProcessStartInfo(_program ?? arguments[0]) { UseShellExecute = false };
        foreach (string argument in arguments.Skip(byHost ? 0 : 1).Where(static a => a != Option).Append(Option))
        {
            start.ArgumentList.Add(argument);
        }
        return start;
    }
}
