using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Penstock.Proxy.RateLimiting;

/// <summary>Finds the registered client for the address of a request, among clients that are addresses or networks. The
/// longest prefix wins. So every registered address is found, whatever <c>clients.ipv6_prefix</c> groups unregistered
/// addresses by. Reading is thread-safe and allocates nothing; one writer at a time.</summary>
internal sealed class RegisteredAddresses
{
    private readonly ConcurrentDictionary<Network, byte[]> _ids = new();
    private readonly int[] _ipv4Counts = new int[33];
    private readonly int[] _ipv6Counts = new int[129];

    /// <summary>The prefix lengths in use, the longest first.</summary>
    private volatile int[] _ipv4Lengths = [];
    private volatile int[] _ipv6Lengths = [];

    private readonly record struct Network(UInt128 Bits, int Length, AddressFamily Family);

    /// <summary>Whether a request counts for this id by its address, and not by an identifier that it
    /// carries.</summary>
    public static bool IsAddress(string id) => id is "unix"
        || string.Equals(AddressText.Canonical(id), id, StringComparison.Ordinal);

    /// <summary>Adds the client if its id is an address or network.</summary>
    public void Add(byte[] id)
    {
        if (TryRead(id, out Network network) && _ids.TryAdd(network, id))
        {
            Count(network, 1);
        }
    }

    public void Remove(byte[] id)
    {
        if (TryRead(id, out Network network) && _ids.TryRemove(network, out _))
        {
            Count(network, -1);
        }
    }

    public bool TryFind(IPAddress address, [NotNullWhen(true)] out byte[]? id)
    {
        AddressFamily family = address.AddressFamily;
        int[] lengths = family == AddressFamily.InterNetwork ? _ipv4Lengths : _ipv6Lengths;
        id = null;
        if (lengths.Length == 0)
        {
            return false;
        }
        UInt128 bits = BitsOf(address);
        foreach (int length in lengths)
        {
            UInt128 mask = length == 0 ? UInt128.Zero : UInt128.MaxValue << (128 - length);
            if (_ids.TryGetValue(new Network(bits & mask, length, family), out id))
            {
                return true;
            }
        }
        return false;
    }

    private static bool TryRead(byte[] id, out Network network)
    {
        string text = Encoding.UTF8.GetString(id);
        bool read = AddressText.TryParseNetwork(text, out IPNetwork parsed)
            && string.Equals(AddressText.Canonical(text), text, StringComparison.Ordinal);
        network = read
            ? new Network(BitsOf(parsed.BaseAddress), parsed.PrefixLength, parsed.BaseAddress.AddressFamily) : default;
        return read;
    }

    /// <summary>The address' bits, starting at the highest one.</summary>
    private static UInt128 BitsOf(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        bytes.Clear();
        address.TryWriteBytes(bytes, out _);
        return BinaryPrimitives.ReadUInt128BigEndian(bytes);
    }

    private void Count(Network network, int more)
    {
        bool ipv4 = network.Family == AddressFamily.InterNetwork;
        int[] counts = ipv4 ? _ipv4Counts : _ipv6Counts;
        counts[network.Length] += more;
        if (counts[network.Length] != Math.Max(0, more))
        {
            return; // its prefix length was in use already, or still is
        }
        int[] lengths = [.. Enumerable.Range(0, counts.Length).Where(l => counts[l] > 0).Reverse()];
        if (ipv4)
        {
            _ipv4Lengths = lengths;
        }
        else
        {
            _ipv6Lengths = lengths;
        }
    }
}
