using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>A client with a limit of its own. Where its tokens are is the subclass' affair: in a word of this process,
/// or leased from a bucket that several nodes share. Thread-safe.</summary>
internal abstract class RegisteredClient(string id)
{
    private RegisteredTerms? _terms;

    /// <summary>What the RateLimit fields and the log call the limit of a registered client.</summary>
    public const string LimitName = "client";

    public string Id { get; } = id;

    /// <summary>Its id is an address or a network: only the address itself makes a request its own.</summary>
    public bool IsAddress { get; } = RegisteredAddresses.IsAddress(id);

    public abstract LimitConfig Config { get; }

    /// <summary>What was set for it besides its limit; null for most.</summary>
    public RegisteredTerms? Terms
    {
        get => Volatile.Read(ref _terms);
        set => Volatile.Write(ref _terms, value);
    }

    public ClientAccess Access => Terms?.Terms.Access ?? ClientAccess.Limited;

    /// <summary>Takes tokens from this client's bucket.</summary>
    /// <param name="limit">The limit that decided.</param>
    /// <param name="word">The bucket's word afterwards, on that limit's clock.</param>
    public abstract bool TryTake(long nowNs, int cost, out Limit limit, out long word);

    /// <summary>After <see cref="TryTake"/> refused: tokens that are not here may be in a bucket that others share, and
    /// will be here in a moment.</summary>
    public virtual bool MayCome(long nowNs, int cost) => false;

    /// <summary>Takes tokens whether they are there or not; a negative cost gives back what was taken.</summary>
    /// <returns>The bucket's word afterwards.</returns>
    public abstract long Charge(long nowNs, int cost);

    /// <summary>Its limit, and the word of the tokens that are there to take as far as this process knows.</summary>
    public abstract Limit Look(long nowNs, out long word);

    public double TokensAt(long nowNs)
    {
        Limit limit = Look(nowNs, out long word);
        return limit.Tokens(word, limit.Clock(nowNs));
    }
}

/// <summary>A bucket that is this process' own: a client's, or one that all requests share. A changed limit makes a
/// new object; the old one's word is closed in the same step that fixes the new one's, so that no token is lost or
/// given twice between them. Thread-safe.</summary>
internal sealed class OwnedClient : RegisteredClient
{
    private const long Closed = long.MinValue;

    private long _word;
    private long _savedWord;
    private OwnedClient? _successor;

    public OwnedClient(string id, LimitConfig config, double tokens, long nowNs, string limitName = LimitName)
        : this(id, new Limit(limitName, config), tokens, nowNs)
    {
    }

    /// <param name="limit">May be shared with others.</param>
    public OwnedClient(string id, Limit limit, double tokens, long nowNs)
        : base(id)
    {
        Limit = limit;
        _word = Limit.Word(tokens, Limit.Clock(nowNs));
        _savedWord = _word;
    }

    public Limit Limit { get; }

    public override LimitConfig Config => Limit.Config;

    /// <summary>Takes tokens from this client's bucket, wherever it now is.</summary>
    public override bool TryTake(long nowNs, int cost, out Limit limit, out long word)
    {
        OwnedClient client = this;
        while (true)
        {
            long before = Volatile.Read(ref client._word);
            if (before == Closed)
            {
                client = client._successor!;
                continue;
            }
            limit = client.Limit;
            word = before;
            if (!limit.TryTake(ref word, limit.Clock(nowNs), cost))
            {
                return false;
            }
            if (Interlocked.CompareExchange(ref client._word, word, before) == before)
            {
                return true;
            }
        }
    }

    public override long Charge(long nowNs, int cost)
    {
        OwnedClient client = this;
        while (true)
        {
            long before = Volatile.Read(ref client._word);
            if (before == Closed)
            {
                client = client._successor!;
                continue;
            }
            long word = client.Limit.Charge(before, client.Limit.Clock(nowNs), cost);
            if (Interlocked.CompareExchange(ref client._word, word, before) == before)
            {
                return word;
            }
        }
    }

    /// <summary>Its limit and word, wherever its bucket now is.</summary>
    public override Limit Look(long nowNs, out long word)
    {
        OwnedClient client = this;
        while ((word = Volatile.Read(ref client._word)) == Closed)
        {
            client = client._successor!;
        }
        return client.Limit;
    }

    /// <summary>Closes this bucket and returns its successor with another limit: the same tokens, clamped, or
    /// <paramref name="tokens"/>. Only one caller at a time.</summary>
    public OwnedClient Change(LimitConfig config, double? tokens, long nowNs) =>
        Change(new Limit(Limit.Name, config), tokens, nowNs);

    /// <inheritdoc cref="Change(LimitConfig, double?, long)"/>
    public OwnedClient Change(Limit limit, double? tokens, long nowNs)
    {
        while (true)
        {
            long before = Volatile.Read(ref _word);
            double kept = tokens ?? Math.Min(limit.Config.Capacity, Limit.Tokens(before, Limit.Clock(nowNs)));
            var next = new OwnedClient(Id, limit, kept, nowNs) { _savedWord = Closed, Terms = Terms };
            _successor = next;
            if (Interlocked.CompareExchange(ref _word, Closed, before) == before)
            {
                return next;
            }
        }
    }

    /// <summary>Did the bucket move since the last call that said so?</summary>
    public bool TakeChange(long nowNs, out double tokens)
    {
        long word = Volatile.Read(ref _word);
        tokens = Limit.Tokens(word, Limit.Clock(nowNs));
        bool changed = word != _savedWord && word != Closed;
        _savedWord = word;
        return changed;
    }
}
