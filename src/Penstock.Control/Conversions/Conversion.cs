using System.Globalization;
using System.Text.RegularExpressions;
using Penstock.Control.Config;

namespace Penstock.Control.Conversions;

/// <summary>A configuration that is being made from the file of another program, and what of that file it lacks.
/// </summary>
internal sealed partial class Conversion(string fileName)
{
    private const int MaxNameLength = 64;

    /// <summary>Why a second place for what is one setting in Penstock is left out.</summary>
    public const string OneForAll = "Penstock has one value for all, and another place has set it";

    private readonly SortedDictionary<(int Line, int Order), string> _left = [];

    public DraftMap Root { get; } = new();

    /// <summary>What was not converted, each as <c>FILE:LINE: what: why</c>, by line.</summary>
    public IReadOnlyCollection<string> Left => _left.Values;

    /// <param name="what">The text of the file.</param>
    /// <param name="why">The reason, or what to do instead.</param>
    public void Leave(int line, string what, string why) =>
        _left[(line, _left.Count)] = $"{fileName}:{line}: {what}: {why}";

    /// <summary>The address in Penstock's form, as a listener; nothing if it is there already.</summary>
    public void Listen(int line, string address, DraftMap? tls = null)
    {
        if (!ConfigValue.TryListen(address, out _, out string error))
        {
            Leave(line, address, error);
            return;
        }
        List<object> all = Root.List("listen");
        object listener = tls is null ? address : new DraftMap().Set("address", address).Set("tls", tls);
        if (!all.Exists(other => AddressIn(other) == address))
        {
            all.Add(listener);
        }
        else if (tls is not null)
        {
            DraftMap known = ((DraftMap)all.Find(other => AddressIn(other) == address)!).Map("tls");
            known.List("certificates").AddRange(tls.List("certificates"));
        }
    }

    /// <summary>A name of this file as one that Penstock accepts.</summary>
    public static string NameOf(string name)
    {
        string usable = NotOfNames().Replace(name, "_");
        return usable.Length is 0 ? "_" : usable.Length > MaxNameLength ? usable[..MaxNameLength] : usable;
    }

    /// <summary>Tokens per second in the largest unit in which the number is short.</summary>
    public static string RateOf(double perSecond)
    {
        foreach ((double seconds, string unit) in ((double, string)[])[(1, "s"), (60, "m"), (3600, "h")])
        {
            double number = perSecond * seconds;
            if (number >= 0.01 && Math.Abs((number * 100) - Math.Round(number * 100)) < 1e-6)
            {
                return $"{number.ToString("0.##", CultureInfo.InvariantCulture)}/{unit}";
            }
        }
        return $"{perSecond.ToString("0.#########", CultureInfo.InvariantCulture)}/s";
    }

    /// <summary>A limit of the configuration; a limit named <c>default</c> would apply to every route.</summary>
    public string AddLimit(string name, DraftMap limit)
    {
        string usable = NameOf(name) is var plain && plain == "default" ? "default_limit" : plain;
        Root.Map("limits").Set(usable, limit);
        return usable;
    }

    private static string AddressIn(object listener) =>
        listener is DraftMap map ? (string)map["address"]! : (string)listener;

    [GeneratedRegex("[^A-Za-z0-9_.-]", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex NotOfNames();
}
