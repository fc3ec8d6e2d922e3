namespace Penstock.Proxy.RateLimiting;

/// <summary>A number of a limit, or how the two go together.</summary>
public enum LimitNumber
{
    /// <summary>Tokens of a full bucket.</summary>
    Capacity,

    /// <summary>Tokens per second.</summary>
    Rate,

    /// <summary>Each would do, but not both together.</summary>
    Both,
}

/// <summary>Why no bucket can have these numbers.</summary>
/// <param name="Of">Which number is wrong.</param>
/// <param name="Message">What is wrong with it, to be read behind its name.</param>
public readonly record struct LimitFault(LimitNumber Of, string Message)
{
    /// <summary>The message with the number's name.</summary>
    public override string ToString() => Of switch
    {
        LimitNumber.Capacity => "capacity " + Message,
        LimitNumber.Rate => "rate " + Message,
        _ => Message,
    };
}
