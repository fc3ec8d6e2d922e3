namespace Penstock.Control.Config;

/// <summary>Reports values that a file may contain only once.</summary>
internal static class Repeated
{
    /// <param name="identity">What must differ.</param>
    /// <param name="shown">What the message shows instead of it; null: the identity.</param>
    public static void Report<T>(string what, IEnumerable<(ConfigField At, T? Value)> items, Func<T, string> identity,
        Func<T, string>? shown = null)
        where T : class
    {
        foreach (IGrouping<string, (ConfigField At, T? Value)> group in items
            .Where(static item => item.Value is not null)
            .GroupBy(item => identity(item.Value!), StringComparer.OrdinalIgnoreCase))
        {
            foreach ((ConfigField at, T? value) in group.Skip(1))
            {
                at.Error($"duplicate {what} '{shown?.Invoke(value!) ?? group.Key}'",
                    $"the first is {group.First().At.Location.SeenFrom(at.Location)}");
            }
        }
    }
}
