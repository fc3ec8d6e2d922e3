using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Penstock.Control.Config;

namespace Penstock.Control.Acme;

/// <summary>Makes the answer to a challenge visible to the CA, and completes when it is.</summary>
internal delegate Task AnswerChallenge(StoredChallenge challenge, CancellationToken stop);

/// <summary>Gets certificates from one CA (RFC 8555). Not thread-safe.</summary>
internal sealed class AcmeClient(CaConnection ca, IAcmeStorage storage, AcmeConfig config, TimeProvider time)
{
    private static readonly TimeSpan FirstLook = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan MaxLook = TimeSpan.FromSeconds(10);

    /// <summary>How long an order may take in all.</summary>
    public static readonly TimeSpan MaxOrder = TimeSpan.FromMinutes(3);

    /// <summary>Gets a certificate for one name, with a new key.</summary>
    /// <param name="replaces">The id of the certificate that it replaces; null: none.</param>
    /// <exception cref="AcmeException">The CA did not give one.</exception>
    public async Task<HeldCertificate> OrderAsync(
        string name, string? replaces, AnswerChallenge answer, CancellationToken stop)
    {
        using var timeout = new CancellationTokenSource(MaxOrder, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(stop, timeout.Token);
        try
        {
            bool isNew = storage.Read([AccountItem]).Count == 0;
            try
            {
                return await OrderOnceAsync(name, replaces, answer, both.Token);
            }
            catch (AcmeException e) when (e.Type == "accountDoesNotExist" && !isNew)
            {
                // The CA has lost the account, as staging environments do: register the key again.
                Save(Account()! with { Url = null });
                return await OrderOnceAsync(name, replaces, answer, both.Token);
            }
        }
        catch (OperationCanceledException e) when (!stop.IsCancellationRequested)
        {
            throw new AcmeException(
                $"{ca.Directory} did not finish the order within {MaxOrder.TotalMinutes} minutes", e);
        }
    }

    /// <summary>When the CA wants a certificate to be renewed, and when to ask again; null: it does not say.</summary>
    /// <exception cref="AcmeException">The CA did not answer.</exception>
    public async Task<(RenewalWindow Window, TimeSpan? AskAfter)?> SuggestionAsync(string id, CancellationToken stop)
    {
        if ((await ca.UrlsAsync(stop)).RenewalInfo is not { } url)
        {
            return null;
        }
        CaAnswer answer = await ca.GetAsync($"{url.TrimEnd('/')}/{id}", stop);
        return (ca.Parse(answer.Body, AcmeJson.Default.RenewalInfo).SuggestedWindow, answer.RetryAfter);
    }

    private AcmeItem AccountItem => new(ca.Directory, "account.json");

    private async Task<HeldCertificate> OrderOnceAsync(
        string name, string? replaces, AnswerChallenge answer, CancellationToken stop)
    {
        CaDirectory urls = await ca.UrlsAsync(stop);
        StoredAccount account = await RegisteredAsync(urls, stop);
        using AcmeKey key = KeyOf(account);
        var signer = new AcmeSigner(key, account.Url);
        (CaOrder order, string at) = await CreateAsync(signer, urls, name, urls.RenewalInfo is null ? null : replaces,
            stop);
        foreach (string authorization in order.Authorizations)
        {
            await ProveAsync(signer, authorization, answer, stop);
        }

        order = await WaitAsync(signer, at, AcmeJson.Default.CaOrder, static o => o.Status is "pending", stop);
        using var certified = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        if (order.Status == "ready")
        {
            byte[] csr = ChallengeCertificate.RequestFor(name, certified).CreateSigningRequest();
            await ca.PostAsync(signer, order.Finalize, new FinalizeOrder(Base64Url.EncodeToString(csr)),
                AcmeJson.Default.FinalizeOrder, stop);
            order = await WaitAsync(signer, at, AcmeJson.Default.CaOrder,
                static o => o.Status is "ready" or "processing", stop);
        }
        if (order is not { Status: "valid", Certificate: { } url })
        {
            throw order.Error is { } problem ? ca.Rejection(problem)
                : new AcmeException($"{ca.Directory} ended the order with the status '{order.Status}'");
        }
        CaAnswer chain = await ca.ReadAsync(signer, url, stop);
        return HeldCertificate.TryRead(name, ca.Directory, $"{certified.ExportPkcs8PrivateKeyPem()}\n{chain.Body}",
            out HeldCertificate? held, out string fault)
            ? held : throw new AcmeException($"the certificate of {ca.Directory} {fault}");
    }

    private async Task<(CaOrder Order, string At)> CreateAsync(
        AcmeSigner signer, CaDirectory urls, string name, string? replaces, CancellationToken stop)
    {
        var wanted = new NewOrder([new("dns", name)]) { Replaces = replaces };
        CaAnswer answer;
        try
        {
            answer = await ca.PostAsync(signer, urls.NewOrder, wanted, AcmeJson.Default.NewOrder, stop);
        }
        catch (AcmeException e) when (replaces is not null && e.Type is "alreadyReplaced" or "malformed")
        {
            // Another order has replaced it, or the CA does not know it: it is an order like any other then.
            answer = await ca.PostAsync(
                signer, urls.NewOrder, wanted with { Replaces = null }, AcmeJson.Default.NewOrder, stop);
        }
        return (ca.Parse(answer.Body, AcmeJson.Default.CaOrder),
            answer.Location ?? throw new AcmeException($"{ca.Directory} does not say where the order is"));
    }

    /// <summary>Proves to the CA that the name leads here.</summary>
    private async Task ProveAsync(
        AcmeSigner signer, string url, AnswerChallenge answer, CancellationToken stop)
    {
        CaAuthorization proof = ca.Parse(
            (await ca.ReadAsync(signer, url, stop)).Body, AcmeJson.Default.CaAuthorization);
        if (proof.Status == "valid")
        {
            return; // since an earlier order
        }
        string wanted = config.Challenge == AcmeChallenge.Http01 ? "http-01" : "tls-alpn-01";
        if (proof.Challenges.FirstOrDefault(one => one.Type == wanted) is not { Token: { } token } challenge)
        {
            throw new AcmeException($"{ca.Directory} does not offer the challenge {wanted}, only "
                + string.Join(", ", proof.Challenges.Select(static one => one.Type)));
        }
        await answer(new(token, signer.Key.AuthorizationOf(token)), stop);
        await ca.PostAsync(signer, challenge.Url, new CheckNow(), AcmeJson.Default.CheckNow, stop);
        proof = await WaitAsync(
            signer, url, AcmeJson.Default.CaAuthorization, static a => a.Status is "pending", stop);
        if (proof.Status != "valid")
        {
            throw proof.Challenges.Select(static one => one.Error).FirstOrDefault(static e => e is not null)
                is { } problem ? ca.Rejection(problem)
                : new AcmeException($"{ca.Directory} ended the check with the status '{proof.Status}'");
        }
    }

    /// <summary>Reads something again and again until the CA has decided about it.</summary>
    private async Task<T> WaitAsync<T>(
        AcmeSigner signer, string url, JsonTypeInfo<T> type, Func<T, bool> isOpen, CancellationToken stop)
        where T : class
    {
        for (TimeSpan pause = FirstLook; ; pause *= 2)
        {
            CaAnswer answer = await ca.ReadAsync(signer, url, stop);
            T state = ca.Parse(answer.Body, type);
            if (!isOpen(state))
            {
                return state;
            }
            TimeSpan wait = answer.RetryAfter ?? pause;
            await Task.Delay(wait < TimeSpan.Zero ? pause : wait < MaxLook ? wait : MaxLook, time, stop);
        }
    }

    private StoredAccount? Account()
    {
        try
        {
            return storage.Read([AccountItem]).TryGetValue(AccountItem, out string? json)
                ? JsonSerializer.Deserialize(json, AcmeJson.Default.StoredAccount) : null;
        }
        catch (JsonException e)
        {
            throw new AcmeException($"the account in {storage.Name} cannot be read: {e.Message}", e);
        }
    }

    private AcmeKey KeyOf(StoredAccount account)
    {
        try
        {
            return AcmeKey.FromPem(account.Key);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new AcmeException($"the key of the account in {storage.Name} cannot be read: {e.Message}", e);
        }
    }

    private void Save(StoredAccount account) =>
        storage.Write(AccountItem, JsonSerializer.Serialize(account, AcmeJson.Default.StoredAccount));

    /// <summary>The account at this CA, which knows it and the operator's address.</summary>
    private async Task<StoredAccount> RegisteredAsync(CaDirectory urls, CancellationToken stop)
    {
        StoredAccount? account = Account();
        if (account is null)
        {
            using var created = AcmeKey.Create();
            account = new(created.Pem);
            Save(account); // before the CA knows it, so that no account is lost
        }
        if (account.Url is not null && account.Email == config.Email)
        {
            return account;
        }
        using AcmeKey key = KeyOf(account);
        string[] contact = config.Email.Length == 0 ? [] : [$"mailto:{config.Email}"];
        if (account.Url is { } url)
        {
            await ca.PostAsync(new(key, url), url, new NewAccount { Contact = contact },
                AcmeJson.Default.NewAccount, stop);
        }
        else
        {
            CaAnswer answer = await ca.PostAsync(new(key, null), urls.NewAccount, new NewAccount
            {
                TermsOfServiceAgreed = true,
                Contact = contact,
                ExternalAccountBinding = BindingFor(urls) is { } binding
                    ? key.Bind(binding.KeyId, binding.HmacKey, urls.NewAccount) : null,
            }, AcmeJson.Default.NewAccount, stop);
            url = answer.Location ?? throw new AcmeException($"{ca.Directory} does not say where the account is");
        }
        account = account with { Url = url, Email = config.Email };
        Save(account);
        return account;
    }

    /// <summary>The binding is for the CA that requires one; if there is only one CA, it is for that.</summary>
    private AcmeBinding? BindingFor(CaDirectory urls)
    {
        bool isRequired = urls.Meta is { ExternalAccountRequired: true };
        if (isRequired && config.Binding is null)
        {
            throw new AcmeException($"{ca.Directory} requires an account there: write its values in tls.acme.eab")
            {
                Type = "externalAccountRequired",
            };
        }
        return isRequired || config.Directories.Count == 1 ? config.Binding : null;
    }
}
