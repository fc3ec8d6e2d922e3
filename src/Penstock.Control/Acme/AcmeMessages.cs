using System.Text.Json.Serialization;

namespace Penstock.Control.Acme;

// What Penstock and the CA send each other, in JSON (RFC 8555 §7). Members that Penstock does not use are left out.

/// <summary>Its members are in the order that a thumbprint needs.</summary>
internal sealed record JsonWebKey(string Crv, string Kty, string X, string Y);

/// <summary>The protected header of a signed request: either the key or the account that signs.</summary>
internal sealed record JwsHead(string Alg, string Url)
{
    public string? Nonce { get; init; }
    public string? Kid { get; init; }
    public JsonWebKey? Jwk { get; init; }
}

internal sealed record SignedRequest(string Protected, string Payload, string Signature);

/// <summary>The URLs of a CA.</summary>
internal sealed record CaDirectory(string NewNonce, string NewAccount, string NewOrder)
{
    /// <summary>Null: the CA does not suggest times for renewals (RFC 9773).</summary>
    public string? RenewalInfo { get; init; }

    public CaTerms? Meta { get; init; }
}

internal sealed record CaTerms
{
    public bool ExternalAccountRequired { get; init; }
}

internal sealed record NewAccount
{
    public bool? TermsOfServiceAgreed { get; init; }
    public IReadOnlyList<string>? Contact { get; init; }
    public SignedRequest? ExternalAccountBinding { get; init; }
}

internal sealed record OrderedName(string Type, string Value);

internal sealed record NewOrder(IReadOnlyList<OrderedName> Identifiers)
{
    /// <summary>The id of the certificate that the new one replaces (RFC 9773 §5).</summary>
    public string? Replaces { get; init; }
}

internal sealed record CaOrder(string Status, IReadOnlyList<string> Authorizations, string Finalize)
{
    public string? Certificate { get; init; }
    public CaProblem? Error { get; init; }
}

internal sealed record CaAuthorization(string Status, IReadOnlyList<CaChallenge> Challenges);

internal sealed record CaChallenge(string Type, string Url)
{
    public string? Token { get; init; }
    public CaProblem? Error { get; init; }
}

/// <summary>Why the CA rejects something (RFC 7807).</summary>
internal sealed record CaProblem
{
    private const string Prefix = "urn:ietf:params:acme:error:";

    public string? Type { get; init; }
    public string? Detail { get; init; }
    public IReadOnlyList<CaProblem>? Subproblems { get; init; }

    /// <summary>The last part of the type, such as <c>rateLimited</c>.</summary>
    [JsonIgnore]
    public string? Word => Type?.StartsWith(Prefix, StringComparison.Ordinal) == true ? Type[Prefix.Length..] : Type;

    /// <summary>In the CA's words.</summary>
    [JsonIgnore]
    public string Text => (Detail ?? "it gives no reason") + (Word is null ? "" : $" ({Word})")
        + string.Concat((Subproblems ?? []).Select(static sub => $", {sub.Text}"));
}

internal sealed record FinalizeOrder(string Csr);

/// <summary>An empty object, which asks the CA to check a challenge now.</summary>
internal sealed record CheckNow;

internal sealed record RenewalInfo(RenewalWindow SuggestedWindow);

internal sealed record RenewalWindow(DateTimeOffset Start, DateTimeOffset End);

/// <summary>An account as it is stored.</summary>
/// <param name="Key">The private key in PEM.</param>
internal sealed record StoredAccount(string Key)
{
    /// <summary>Null: the CA does not know the key yet.</summary>
    public string? Url { get; init; }

    public string Email { get; init; } = "";

    /// <summary>Without the key.</summary>
    public override string ToString() => Url ?? "not registered";
}

/// <summary>A failed try as it is stored, so that no restart and no other node tries before its time.</summary>
internal sealed record StoredFailure(int Tries, DateTimeOffset NextTry, string Cause)
{
    /// <summary>The CA answers no try before this time, not even after a reload; null: it named none.</summary>
    public DateTimeOffset? CaWaitsUntil { get; init; }
}

/// <summary>A challenge as it is stored for the other nodes.</summary>
internal sealed record StoredChallenge(string Token, string KeyAuthorization);

/// <summary>JSON without reflection, for the native program.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, RespectRequiredConstructorParameters = true,
    RespectNullableAnnotations = true)]
[JsonSerializable(typeof(CaAuthorization))]
[JsonSerializable(typeof(CaChallenge))]
[JsonSerializable(typeof(CaDirectory))]
[JsonSerializable(typeof(CaOrder))]
[JsonSerializable(typeof(CaProblem))]
[JsonSerializable(typeof(CheckNow))]
[JsonSerializable(typeof(FinalizeOrder))]
[JsonSerializable(typeof(JsonWebKey))]
[JsonSerializable(typeof(NewAccount))]
[JsonSerializable(typeof(NewOrder))]
[JsonSerializable(typeof(RenewalInfo))]
[JsonSerializable(typeof(JwsHead))]
[JsonSerializable(typeof(SignedRequest))]
[JsonSerializable(typeof(StoredAccount))]
[JsonSerializable(typeof(StoredChallenge))]
[JsonSerializable(typeof(StoredFailure))]
internal sealed partial class AcmeJson : JsonSerializerContext;
