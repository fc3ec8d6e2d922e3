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

    /// <summary>Why something is left out that has no equivalent.</summary>
    public const string NothingSame = "Penstock has nothing that is the same";

    private const string Redirected = "it is 'redirect_from' of the listener with TLS, which answers 308";

    private readonly List<(int Line, string What, string Address)> _redirects = [];
    private readonly SortedDictionary<(int Line, int Order), string> _left = [];

    public DraftMap Root { get; } = new();

    /// <summary>What was not converted, each as <c>FILE:LINE: what: why</c>, by line.</summary>
    public IReadOnlyCollection<string> Left => _left.Values;

    /// <param name="what">The text of the file.</param>
    /// <param name="why">The reason, or what to do instead.</param>
    public void Leave(int line, string what, string why)
    {
        string left = $"{fileName}:{line}: {what}: {why}";
        if (!_left.ContainsValue(left)) // two addresses of one line may have the same remark
        {
            _left[(line, _left.Count)] = left;
        }
    }

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
        if (all.Find(other => AddressIn(other) == address) is not { } before)
        {
            all.Add(listener);
        }
        else if (tls is null != before is string)
        {
            Leave(line, address, "a listener has TLS or not, and another place says the opposite");
        }
        else if (tls is not null)
        {
            Merge(((DraftMap)before).Map("tls"), tls, line, address);
        }
    }

    /// <summary>Notes that every request that arrives at these addresses is sent to HTTPS.</summary>
    public void Redirect(int line, string what, IEnumerable<string> addresses) =>
        _redirects.AddRange(addresses.Select(address => (line, what, address)));

    /// <summary>Makes <c>redirect_from</c> of what was noted, when all listeners are known.</summary>
    public void FinishRedirects()
    {
        List<DraftMap> secure = [.. Listeners.OfType<DraftMap>().Where(static listener => listener["tls"] is not null)];
        List<DraftMap> targets = secure.FindAll(static listener => PortOf(AddressIn(listener)) == "443") is
            { Count: > 0 } usual ? usual : secure;
        foreach ((int line, string what, string address) in _redirects)
        {
            bool isOneTarget = targets.Count > 0 && targets.TrueForAll(target =>
                PortOf(AddressIn(target)) == PortOf(AddressIn(targets[0])));
            if (!isOneTarget || !Listeners.Contains(address)
                || !targets.TrueForAll(target => target.Map("tls").TrySet("redirect_from", PortOf(address))))
            {
                Leave(line, what, "'redirect_from' in 'tls' of a listener sends one other port to it; see "
                    + "listen[].tls");
            }
            else
            {
                Leave(line, what, Redirected);
            }
        }
    }

    /// <summary>A table of sentences, each with the names that it is said of, by name.</summary>
    public static Dictionary<string, string> ByName((string Why, string[] Names)[] table) =>
        table.SelectMany(static row => row.Names.Select(name => (name, row.Why))).ToDictionary(
            static pair => pair.name, static pair => pair.Why, StringComparer.Ordinal);

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

    private void Merge(DraftMap known, DraftMap tls, int line, string address)
    {
        foreach ((string key, object value) in tls.Entries.Where(static entry => entry.Key != "certificates"))
        {
            if (!Equals(known[key], value) && (known[key], value) is not (DraftMap, DraftMap))
            {
                Leave(line, $"{key} of {address}", OneForAll);
            }
        }
        List<object> certificates = known.List("certificates");
        certificates.AddRange(tls.List("certificates").Where(added => !certificates.Exists(other =>
            DraftText.Line((DraftMap)other) == DraftText.Line((DraftMap)added))));
    }

    private List<object> Listeners => Root["listen"] as List<object> ?? [];

    private static string PortOf(string address) => address[(address.LastIndexOf(':') + 1)..];

    private static string AddressIn(object listener) =>
        listener is DraftMap map ? (string)map["address"]! : (string)listener;

    [GeneratedRegex("[^A-Za-z0-9_.-]", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex NotOfNames();
}
