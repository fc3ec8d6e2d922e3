using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;

namespace Penstock.Control.Takeover;

/// <summary>The messages, in the order of a take-over. New is the process that takes over, old the other.</summary>
internal enum TakeoverKind : byte
{
    /// <summary>New: a <see cref="TakeoverHello"/>.</summary>
    Hello,

    /// <summary>Old: a <see cref="TakeoverOffer"/>. The rest of the offer follows.</summary>
    Offer,

    /// <summary>Old: a listener's address, with its sockets.</summary>
    Listener,

    /// <summary>Old: the lock of the store's file, as a descriptor; none when the store has no file.</summary>
    StoreLock,

    /// <summary>Old: a socket on which it will ask for tokens.</summary>
    Asking,

    /// <summary>New: save all tokens, and write nothing to the store any more.</summary>
    Quiesce,

    /// <summary>Old: that is done.</summary>
    Quiet,

    /// <summary>New: send the buckets of unregistered clients.</summary>
    SendBuckets,

    /// <summary>Old: buckets of unregistered clients.</summary>
    Buckets,

    /// <summary>Old: tokens of registered clients, and of buckets that are in no store.</summary>
    Tokens,

    /// <summary>Old: no more buckets follow.</summary>
    EndOfBuckets,

    /// <summary>New: stop the loops, and send what has changed since.</summary>
    Freeze,

    /// <summary>New: the buckets are complete here.</summary>
    Complete,

    /// <summary>Old: the listeners are yours.</summary>
    Yours,

    /// <summary>New: stop the admin API.</summary>
    StopAdmin,

    /// <summary>Old: it has stopped.</summary>
    AdminStopped,
}

/// <param name="Protocol">See <see cref="TakeoverText.Protocol"/>.</param>
/// <param name="Version">Of the program.</param>
internal sealed record TakeoverHello(int Protocol, string Version);

/// <param name="Protocol">See <see cref="TakeoverText.Protocol"/>.</param>
/// <param name="Version">Of the program.</param>
/// <param name="HashKey">The key of the hash of unregistered clients' names.</param>
/// <param name="TicketKeys">The keys for tickets of TLS sessions.</param>
/// <param name="Listeners">How many listeners follow.</param>
internal sealed record TakeoverOffer(int Protocol, string Version, byte[] HashKey, IReadOnlyList<byte[]> TicketKeys,
    IReadOnlyList<OfferedBackend> Backends, int Listeners);

/// <summary>What an operator and the health checks have set for a backend.</summary>
/// <param name="Weight">The weight in force.</param>
internal sealed record OfferedBackend(
    string Upstream, string Address, BackendState State, int Weight, BackendHealth Health, string? Cause);

[JsonSerializable(typeof(TakeoverHello))]
[JsonSerializable(typeof(TakeoverOffer))]
internal sealed partial class TakeoverJson : JsonSerializerContext;

/// <summary>How what two processes say is written in bytes.</summary>
internal static class TakeoverText
{
    /// <summary>Increase it when messages change. Processes with different numbers do not take over from each
    /// other.</summary>
    public const int Protocol = 1;

    /// <summary>The address on which a process with this configuration offers to be taken over: in the abstract
    /// namespace (unix(7)), so that no file is left behind. It belongs to the network namespace.</summary>
    public static string AddressOf(string configPath)
    {
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(Path.GetFullPath(configPath)));
        return $"\0penstock-takeover-{Environment.UserName}-{Convert.ToHexStringLower(hash.AsSpan(0, 8))}";
    }

    public static byte[] Write(TakeoverHello hello) =>
        JsonSerializer.SerializeToUtf8Bytes(hello, TakeoverJson.Default.TakeoverHello);

    public static byte[] Write(TakeoverOffer offer) =>
        JsonSerializer.SerializeToUtf8Bytes(offer, TakeoverJson.Default.TakeoverOffer);

    public static TakeoverHello ReadHello(byte[] payload) => Read(payload, TakeoverJson.Default.TakeoverHello);

    public static TakeoverOffer ReadOffer(byte[] payload) => Read(payload, TakeoverJson.Default.TakeoverOffer);

    public static byte[] Write(KeptLimit limit, IReadOnlyCollection<BucketChange> buckets)
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes);
        writer.Write(limit.Name);
        writer.Write(limit.Capacity);
        writer.Write(limit.RatePerSecond);
        writer.Write(buckets.Count);
        foreach (BucketChange bucket in buckets)
        {
            writer.Write(bucket.Hash);
            writer.Write(bucket.FullAtUnixNs);
        }
        return bytes.ToArray();
    }

    public static (KeptLimit Limit, IReadOnlyList<(ulong Hash, long FullAtUnixNs)> Buckets) ReadBuckets(byte[] payload)
    {
        using var reader = new BinaryReader(new MemoryStream(payload));
        var limit = new KeptLimit(reader.ReadString(), reader.ReadInt64(), reader.ReadDouble());
        var buckets = new (ulong Hash, long FullAtUnixNs)[reader.ReadInt32()];
        for (int i = 0; i < buckets.Length; i++)
        {
            buckets[i] = (reader.ReadUInt64(), reader.ReadInt64());
        }
        return (limit, buckets);
    }

    /// <summary>Also writes when this is, on the clock that the processes of a machine share.</summary>
    public static byte[] Write(IReadOnlyCollection<BucketTokens> buckets)
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes);
        writer.Write(Stopwatch.GetTimestamp());
        writer.Write(buckets.Count);
        foreach ((BucketName name, double tokens) in buckets)
        {
            writer.Write(name.Client is not null);
            writer.Write(name.Client ?? "");
            writer.Write(name.Limit is not null);
            writer.Write(name.Limit ?? "");
            writer.Write(tokens);
        }
        return bytes.ToArray();
    }

    /// <returns>The buckets, and how long ago they had these tokens.</returns>
    public static (IReadOnlyList<BucketTokens> Buckets, TimeSpan Age) ReadTokens(byte[] payload)
    {
        using var reader = new BinaryReader(new MemoryStream(payload));
        TimeSpan age = Stopwatch.GetElapsedTime(reader.ReadInt64());
        var buckets = new BucketTokens[reader.ReadInt32()];
        for (int i = 0; i < buckets.Length; i++)
        {
            buckets[i] = new(new(ReadText(reader), ReadText(reader)), reader.ReadDouble());
        }
        return (buckets, age);

        static string? ReadText(BinaryReader reader)
        {
            bool any = reader.ReadBoolean();
            string text = reader.ReadString();
            return any ? text : null;
        }
    }

    private static T Read<T>(byte[] payload, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type)
    {
        try
        {
            return JsonSerializer.Deserialize(payload, type)
                ?? throw new TakeoverException("the other process sent an empty message");
        }
        catch (JsonException e)
        {
            throw new TakeoverException($"the other process sent what this version cannot read: {e.Message}", e);
        }
    }
}
