using Penstock.Control.Config;

namespace Penstock.Control.Conversions;

/// <summary>The database of a small balancer, given as a URL, a file, or in parts.</summary>
internal sealed class SmallBalancerStore
{
    private readonly Dictionary<SmallSetting, string> _parts = [];

    /// <summary>The <c>store</c> of a configuration; null if there is no database.</summary>
    public string? Text => Part(SmallSetting.StoreUrl) is { } url ? url
        : Part(SmallSetting.StoreFile) is { } file ? $"sqlite:{file}"
        : Part(SmallSetting.StoreHost) is { } host
            ? $"postgres://{Escaped(Part(SmallSetting.StoreUser) ?? "postgres")}"
                + (Part(SmallSetting.StorePassword) is { Length: > 0 } password ? $":{Escaped(password)}" : "")
                + $"@{host}:{Part(SmallSetting.StorePort) ?? "5432"}/{Part(SmallSetting.StoreName) ?? "postgres"}"
        : null;

    /// <returns>False if it is not a part of a database, or one that Penstock cannot use.</returns>
    public bool TrySet(SmallSetting setting, string text)
    {
        switch (setting)
        {
            case SmallSetting.StoreUrl when !IsUrl(text):
                return false;
            case SmallSetting.StoreKind:
                return text.StartsWith("postgres", StringComparison.OrdinalIgnoreCase)
                    || text.StartsWith("sqlite", StringComparison.OrdinalIgnoreCase) || text is "pgx";
            case SmallSetting.StoreUrl or SmallSetting.StoreFile or SmallSetting.StoreHost or SmallSetting.StorePort
                or SmallSetting.StoreUser or SmallSetting.StorePassword or SmallSetting.StoreName:
                _parts[setting] = text;
                return true;
            default:
                return false;
        }
    }

    private static bool IsUrl(string text) => text.StartsWith("postgres", StringComparison.Ordinal)
        && ConfigValue.TryStore(text, out _, out _);

    private string? Part(SmallSetting setting) => _parts.GetValueOrDefault(setting);

    /// <summary>A variable is replaced when Penstock reads the file, so it stays.</summary>
    private static string Escaped(string text) =>
        text.Contains("${", StringComparison.Ordinal) ? text : Uri.EscapeDataString(text);
}
