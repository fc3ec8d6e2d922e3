using System.CommandLine;
using System.Runtime.InteropServices;
using Penstock.Control;

namespace Penstock.Commands;

/// <summary><c>penstock version</c>: prints what a bug report needs.</summary>
internal static class VersionCommand
{
    public static Command Create(Terminal terminal)
    {
        var command = new PenstockCommand("version",
            "Print the version with its commit, the build (native or jit), .NET and "
            + "the system.", "penstock version");
        command.SetAction(_ => terminal.Out.WriteLine($"penstock {ProductVersion.Full} "
            + $"({ProductVersion.Flavour}, {ProductVersion.Runtime}, {RuntimeInformation.OSDescription}, "
            + $"{RuntimeInformation.RuntimeIdentifier})"));
        return command;
    }
}
