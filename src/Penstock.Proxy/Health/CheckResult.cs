namespace Penstock.Proxy.Health;

internal enum CheckVerdict
{
    Passed,
    Failed,

    /// <summary>Penstock could not run the check, so the result says nothing about the backend.</summary>
    Inconclusive,
}

/// <summary>The result of one health check.</summary>
/// <param name="Cause">Why the check did not pass, as text; null when it passed.</param>
internal readonly record struct CheckResult(CheckVerdict Verdict, string? Cause)
{
    public static CheckResult Passed => new(CheckVerdict.Passed, null);

    public static CheckResult Failed(string cause) => new(CheckVerdict.Failed, cause);

    public static CheckResult Inconclusive(string cause) => new(CheckVerdict.Inconclusive, cause);
}
