namespace Penstock.Proxy.Health;

internal enum CheckVerdict
{
    Passed,
    Failed,

    /// <summary>We could not ask: it says nothing about the backend.</summary>
    Inconclusive,
}

/// <summary>What one check found.</summary>
/// <param name="Cause">Null when it passed, else why not, in words.</param>
internal readonly record struct CheckResult(CheckVerdict Verdict, string? Cause)
{
    public static CheckResult Passed => new(CheckVerdict.Passed, null);

    public static CheckResult Failed(string cause) => new(CheckVerdict.Failed, cause);

    public static CheckResult Inconclusive(string cause) => new(CheckVerdict.Inconclusive, cause);
}
