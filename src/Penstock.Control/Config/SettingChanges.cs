namespace Penstock.Control.Config;

/// <summary>What a reload changed, one line for each change: <c>+ backend web/10.0.0.3:80</c>, <c>- limits.old</c>,
/// <c>~ limits.default.rate 100/s -> 50/s</c>. Secrets are not shown.</summary>
internal static class SettingChanges
{
    private const int MaxValue = 120;

    public static IReadOnlyList<string> Between(IReadOnlyList<Setting> before, IReadOnlyList<Setting> after)
    {
        List<string> changes = [];
        AddMapping(changes, "", "default", before, after);
        return changes;
    }

    /// <param name="owner">The name of the upstream that the settings are about.</param>
    private static void Add(List<string> changes, string path, string owner, Setting? before, Setting? after)
    {
        if (before is null || after is null)
        {
            if ((after ?? before) is { IsDefault: false } there)
            {
                changes.Add($"{(before is null ? '+' : '-')} {path}{Rest(there)}");
            }
        }
        else if (before.IsList && after.IsList)
        {
            AddList(changes, path, owner, before, after);
        }
        else if (before.Text is null && after.Text is null && !before.IsList && !after.IsList)
        {
            AddMapping(changes, path, owner, before.Parts, after.Parts);
        }
        else if (before.Text is null || after.Text is null || before.Compared != after.Compared)
        {
            changes.Add(before.IsSecret || after.IsSecret ? $"~ {path} (a secret)"
                : $"~ {path} {Shown(before)} -> {Shown(after)}");
        }
    }

    private static void AddMapping(List<string> changes, string path, string owner,
        IReadOnlyList<Setting> before, IReadOnlyList<Setting> after)
    {
        Dictionary<string, Setting> old = By(before, static setting => setting.Name);
        Dictionary<string, Setting> now = By(after, static setting => setting.Name);
        foreach (string name in old.Keys.Union(now.Keys))
        {
            Add(changes, path.Length == 0 ? name : $"{path}.{name}", path == "upstreams" ? name : owner,
                old.GetValueOrDefault(name), now.GetValueOrDefault(name));
        }
    }

    private static void AddList(List<string> changes, string path, string owner, Setting before, Setting after)
    {
        Dictionary<string, Setting> old = By(before.Parts, static item => item.Identity);
        Dictionary<string, Setting> now = By(after.Parts, static item => item.Identity);
        int count = changes.Count;
        foreach ((string identity, Setting item) in old)
        {
            if (now.TryGetValue(identity, out Setting? same))
            {
                Add(changes, PathOf(same), owner, item, same);
            }
            else
            {
                changes.Add($"- {PathOf(item)}{RestOf(item)}");
            }
        }
        changes.AddRange(now.Where(entry => !old.ContainsKey(entry.Key))
            .Select(entry => $"+ {PathOf(entry.Value)}{RestOf(entry.Value)}"));
        if (changes.Count == count && !old.Keys.SequenceEqual(now.Keys))
        {
            changes.Add($"~ {path} in another order");
        }

        string PathOf(Setting item) => !item.HasShortForm ? path
            : before.Name == "backends" ? $"backend {owner}/{item.Identity}" : $"{path}[{item.Identity}]";
        static string RestOf(Setting item) =>
            item.HasShortForm && item.Parts.Skip(1).All(static part => part.IsDefault) ? "" : Rest(item);
    }

    private static Dictionary<string, Setting> By(IReadOnlyList<Setting> settings, Func<Setting, string> key)
    {
        var all = new Dictionary<string, Setting>();
        foreach (Setting setting in settings)
        {
            all.TryAdd(key(setting), setting);
        }
        return all;
    }

    private static string Rest(Setting setting) => " " + Shown(setting);

    private static string Shown(Setting setting)
    {
        string text = setting.Compact();
        return text.Length <= MaxValue ? text : text[..MaxValue] + "…";
    }
}
