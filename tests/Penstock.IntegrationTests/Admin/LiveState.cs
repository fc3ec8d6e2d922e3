using System.Collections;
using System.Net;
using System.Reflection;
using System.Runtime.CompilerServices;
using Penstock.Proxy;

namespace Penstock.IntegrationTests.Admin;

/// <summary>All values in the data plane's objects, each with its path from the server object.</summary>
internal sealed class LiveState
{
    private const int MaxDepth = 14;
    private const int FirstEphemeralPort = 32768; // what port 0 came to
    private const int MaxItems = 300; // tables of buckets are no configuration

    /// <summary>Values that do not come from the configuration, but from time, random numbers or health checks, or
    /// whose order varies.</summary>
    private static readonly HashSet<string> NotConfigured = new(StringComparer.Ordinal)
    {
        "Backend._health", "Backend._isUsable", "Backend._weight", "Backend._ramp", "Backend._rampStartNs",
        "Backend._checksPassed", "Backend._checksFailed", "Backend.<HealthChanges>k__BackingField",
        "BackendChecks._streak", "Upstream._queueRandom",
        "Worker._requestIdSeed", "Worker.<Random>k__BackingField", "AccessRecorder._flush", "Worker._ports",
        "TicketKeys._keys",
        "KeyHash._key0", "KeyHash._key1", "TableMemory.handle", "SafeHandle.handle",
        "AccessLog._spare", "AccessRecorder._line", // buffers
        "LimitTable._byName", // an index of limits that are looked at where they are
        "LimitTable._counts", "Worker._counters", "RouteNumbers._numbers",
        "Route.<Number>k__BackingField", // they stay
        "ConnectionBounds._own", "ConnectionBounds._count", "ConnectionBounds._byAddress",
    };

    private readonly Dictionary<string, string> _values = new(StringComparer.Ordinal);
    private readonly HashSet<object> _seen = new(ReferenceEqualityComparer.Instance);

    private LiveState()
    {
    }

    public static Dictionary<string, string> Of(ProxyServer server)
    {
        var state = new LiveState();
        state.Walk(server);
        return state._values;
    }

    /// <summary>Searches breadth first, so that an object is named by its shortest path.</summary>
    private void Walk(ProxyServer server)
    {
        var left = new Queue<(string Path, object? Value, int Depth)>([("", server, 0)]);
        while (left.TryDequeue(out (string Path, object? Value, int Depth) next))
        {
            foreach ((string path, object? value) in Look(next.Path, next.Value, next.Depth))
            {
                left.Enqueue((path, value, next.Depth + 1));
            }
        }
    }

    private IEnumerable<(string Path, object? Value)> Look(string path, object? value, int depth)
    {
        if (value is IPEndPoint { Port: >= FirstEphemeralPort })
        {
            return [];
        }
        if (value is null || IsPlain(value))
        {
            _values[path] = value?.ToString() ?? "null";
            return [];
        }
        if (value is byte[] bytes)
        {
            _values[path] = Convert.ToHexString(bytes);
            return [];
        }
        if (depth >= MaxDepth || (!IsTree(value.GetType()) && !_seen.Add(value)))
        {
            return [];
        }
        return value switch
        {
            IDictionary named => Entries(named).Select(entry => ($"{path}[{entry.Key}]", entry.Value)),
            IEnumerable list when !IsOurs(value.GetType()) || value.GetType().IsGenericType =>
                list.Cast<object?>().Take(MaxItems).Select((item, i) => ($"{path}[{i}]", item)),
            _ when IsOurs(value.GetType()) || value is ITuple => Fields(path, value),
            _ => [],
        };
    }

    private static IEnumerable<DictionaryEntry> Entries(IDictionary named)
    {
        IDictionaryEnumerator entries = named.GetEnumerator();
        while (entries.MoveNext())
        {
            yield return entries.Entry;
        }
    }

    private static IEnumerable<(string Path, object? Value)> Fields(string path, object value)
    {
        for (Type? type = value.GetType(); type is not null && type != typeof(object); type = type.BaseType)
        {
            foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.Public
                | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            {
                if (!NotConfigured.Contains($"{type.Name}.{field.Name}") && !field.FieldType.IsPointer
                    && !typeof(Delegate).IsAssignableFrom(field.FieldType)
                    && !field.FieldType.IsByRefLike)
                {
                    yield return ($"{path}.{field.Name}", field.GetValue(value));
                }
            }
        }
    }

    private static bool IsPlain(object value) => value is string or decimal or TimeSpan or IPAddress or IPNetwork
        or EndPoint
        || value.GetType().IsPrimitive || value.GetType().IsEnum;

    /// <summary>Objects that several places may refer to are compared at each place, because one may keep an old
    /// object.</summary>
    private static bool IsTree(Type type) => type.IsValueType || type.Name == "Snapshot"
        || typeof(IEnumerable).IsAssignableFrom(type)
        || type.Namespace == "Penstock.Proxy.Configuration";

    private static bool IsOurs(Type type) => type.Assembly == typeof(ProxyServer).Assembly
        && (type.Name == "ConnectionBounds"
            || type.Namespace is not ("Penstock.Proxy.EventLoop" or "Penstock.Proxy.Connections"));
}
