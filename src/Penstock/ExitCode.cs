namespace Penstock;

internal static class ExitCode
{
    public const int Ok = 0;
    public const int Failure = 1;

    /// <summary>The command line or the configuration is invalid: starting again does not help (see
    /// RestartPreventExitStatus in deploy/penstock.service).</summary>
    public const int Usage = 2;
}
