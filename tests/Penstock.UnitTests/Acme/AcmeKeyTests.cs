using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Penstock.Control.Acme;
using Xunit;

namespace Penstock.UnitTests.Acme;

/// <summary>Signatures as RFC 7515 and RFC 8555 define them, with the values of their examples.</summary>
public sealed class AcmeKeyTests
{
    // RFC 7515, appendix A.3.1
    private const string X = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    private const string Y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    private const string D = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";

    [Fact]
    public void Hmac_is_that_of_the_example_of_rfc_7515() => Assert.Equal(
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        AcmeKey.Mac(Base64Url.DecodeFromChars(
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"),
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"));

    [Fact]
    public void Key_of_the_example_has_its_members_and_its_thumbprint()
    {
        using AcmeKey key = Example();

        Assert.Equal(new JsonWebKey("P-256", "EC", X, Y), key.PublicKey);
        Assert.Equal("oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U", key.Thumbprint); // by Python's hashlib
        Assert.Equal("token." + key.Thumbprint, key.AuthorizationOf("token"));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("https://ca.example/account/7")]
    public void Request_has_nonce_url_and_either_key_or_account_and_a_signature_of_both_parts(string? account)
    {
        using AcmeKey key = Example();
        JwsHead head = new AcmeSigner(key, account).HeadFor("https://ca.example/order") with { Nonce = "n" };

        SignedRequest signed = key.Sign(head, """{"a":1}""");

        JsonNode read = JsonNode.Parse(Text(signed.Protected))!;
        Assert.Equal(("ES256", "n", "https://ca.example/order"),
            ($"{read["alg"]}", $"{read["nonce"]}", $"{read["url"]}"));
        Assert.Equal(account, read["kid"]?.ToString());
        Assert.Equal(account is null ? X : null, read["jwk"]?["x"]?.ToString());
        Assert.Equal("""{"a":1}""", Text(signed.Payload));
        using var known = ECDsa.Create(new ECParameters
        {
            Curve = ECCurve.NamedCurves.nistP256,
            Q = new() { X = Base64Url.DecodeFromChars(X), Y = Base64Url.DecodeFromChars(Y) },
        });
        Assert.True(known.VerifyData(Encoding.ASCII.GetBytes($"{signed.Protected}.{signed.Payload}"),
            Base64Url.DecodeFromChars(signed.Signature), HashAlgorithmName.SHA256));
    }

    [Fact]
    public void Binding_signs_the_public_key_for_the_url_of_the_account()
    {
        using AcmeKey key = Example();

        SignedRequest binding = key.Bind("kid-1", "c2VjcmV0", "https://ca.example/new-account");

        Assert.Equal("""{"alg":"HS256","url":"https://ca.example/new-account","kid":"kid-1"}""",
            Text(binding.Protected));
        Assert.Equal($$"""{"crv":"P-256","kty":"EC","x":"{{X}}","y":"{{Y}}"}""", Text(binding.Payload));
        Assert.Equal(AcmeKey.Mac("secret"u8.ToArray(), binding.Protected, binding.Payload), binding.Signature);
    }

    [Fact]
    public void Key_is_the_same_after_it_was_stored()
    {
        using var created = AcmeKey.Create();
        using var stored = AcmeKey.FromPem(created.Pem);

        Assert.Equal(created.Thumbprint, stored.Thumbprint);
        Assert.DoesNotContain("PRIVATE", new StoredAccount(created.Pem).ToString());
    }

    private static AcmeKey Example()
    {
        using var key = ECDsa.Create(new ECParameters
        {
            Curve = ECCurve.NamedCurves.nistP256,
            D = Base64Url.DecodeFromChars(D),
            Q = new() { X = Base64Url.DecodeFromChars(X), Y = Base64Url.DecodeFromChars(Y) },
        });
        return AcmeKey.FromPem(key.ExportPkcs8PrivateKeyPem());
    }

    private static string Text(string encoded) => Encoding.UTF8.GetString(Base64Url.DecodeFromChars(encoded));
}
