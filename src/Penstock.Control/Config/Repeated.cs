namespace Penstock.Control.Config;

/// <summary>Reports values that a file may contain only once.</summary>
internal static class Repeated
{
    public static void Report<T>(string what, IEnumerable<(ConfigField At, T? Value)> items, Func<T, string> identity)
        where T : class
    {
        foreach (IGrouping<string, (ConfigField At, T? Value)> group in items
            .Where(static item => item.Value is not null)
            .GroupBy(item => identity(item.Value!), StringComparer.OrdinalIgnoreCase))
        {
            foreach ((ConfigField at, _) in group.Skip(1))
            {
                at.Error($"duplicate {what} '{group.Key}'",
                    $"the first is {group.First().At.Location.SeenFrom(at.Location)}");
            }
        }
    }
}
