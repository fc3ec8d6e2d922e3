using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Npgsql;

namespace Penstock.Control.Store;

/// <summary>Checks the database's certificate and says why a check failed.</summary>
/// <param name="rootFile">The certificates to trust, PEM; null: those that the system trusts.</param>
/// <param name="checksName">The certificate must also be valid for the host name.</param>
internal sealed class PostgresTls(string? rootFile, bool checksName)
{
    public static readonly PostgresTls Unchecked = new(null, false);

    /// <summary>Makes the connection check the certificate. A failure is passed to <paramref name="fault"/>.</summary>
    /// <exception cref="PostgresFault">The root certificates cannot be read.</exception>
    public void Guard(NpgsqlConnection connection, Action<string> fault)
    {
        if (this == Unchecked)
        {
            return;
        }

        X509Certificate2Collection? roots = rootFile is null ? null : Load(rootFile);
        connection.SslClientAuthenticationOptionsCallback = options =>
            options.RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
            {
                string? wrong = Fault(certificate as X509Certificate2, chain, errors, roots, options.TargetHost ?? "");
                if (wrong is not null)
                {
                    fault(wrong);
                }

                return wrong is null;
            };
    }

    private string? Fault(X509Certificate2? certificate, X509Chain? chain, SslPolicyErrors errors,
        X509Certificate2Collection? roots, string host)
    {
        if (certificate is null)
        {
            return "the server sent no certificate";
        }

        if (roots is not null)
        {
            using var own = new X509Chain();
            own.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
            own.ChainPolicy.CustomTrustStore.AddRange(roots);
            own.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
            if (chain is not null) // the intermediate certificates that the server sent
            {
                own.ChainPolicy.ExtraStore.AddRange(chain.ChainPolicy.ExtraStore);
            }

            if (!own.Build(certificate))
            {
                return Describe(certificate, own, rootFile!);
            }
        }
        else if (errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors))
        {
            return Describe(certificate, chain, "the system's certificates");
        }
        return checksName && errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch)
            ? $"the server's certificate ({certificate.Subject}) is not valid for {host}" : null;
    }

    private static string Describe(X509Certificate2 certificate, X509Chain? chain, string roots)
    {
        X509ChainStatus[] faults = chain?.ChainStatus ?? [];
        DateTime now = chain?.ChainPolicy.VerificationTime ?? default;
        string why = now > certificate.NotAfter ? $"expired on {certificate.NotAfter.ToUniversalTime():u}"
            : faults.Any(static fault => fault.Status is X509ChainStatusFlags.NotTimeValid)
                ? $"is not valid before {certificate.NotBefore.ToUniversalTime():u}"
            : faults.Any(static fault =>
                fault.Status is X509ChainStatusFlags.PartialChain or X509ChainStatusFlags.UntrustedRoot)
                ? $"is not signed by one of {roots} (its issuer is {certificate.Issuer})"
            : "is not valid: " + string.Join(", ", faults.Select(static fault => fault.StatusInformation.Trim()));
        return $"the server's certificate ({certificate.Subject}) {why}";
    }

    private static X509Certificate2Collection Load(string file)
    {
        var roots = new X509Certificate2Collection();
        try
        {
            roots.ImportFromPemFile(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new PostgresFault($"sslrootcert {file} cannot be read: {e.Message}", e);
        }
        return roots.Count > 0 ? roots : throw new PostgresFault($"sslrootcert {file} contains no certificate");
    }
}
