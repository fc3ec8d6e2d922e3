using Npgsql;
using Penstock.Control.Store;
using Xunit;

namespace Penstock.UnitTests.Store;

public sealed class PostgresUrlTests
{
    [Theory]
    [InlineData("postgres://u:p@h/db", "postgres://h:5432/db", "p")]
    [InlineData("postgresql://u:p%40x@h:99/db", "postgres://h:99/db", "p@x")]
    [InlineData("postgres://u:p@ss/w:rd?@127.0.0.1:5432/db", "postgres://127.0.0.1:5432/db", "p@ss/w:rd?")]
    [InlineData("postgres://u:p@h/db?application_name=me@home", "postgres://h:5432/db", "p")]
    [InlineData("postgres://u:p@[::1]:99/db", "postgres://[::1]:99/db", "p")]
    [InlineData("postgres://u:p@a,b:99/db", "postgres://a:5432,b:99/db", "p")]
    [InlineData("postgres://u:p@/db?host=a,b&port=1,2", "postgres://a:1,b:2/db", "p")]
    [InlineData("postgres://u:p@/db?host=/run/pg", "postgres:///db?host=/run/pg", "p")]
    [InlineData("postgres://h/?dbname=db&user=u&password=p", "postgres://h:5432/db", "p")]
    public void Address_is_read_and_named_without_the_password(string text, string name, string password)
    {
        Assert.True(PostgresUrl.TryParse(text, out PostgresUrl? url, out string? fault), fault);

        Assert.Equal(name, url.Name);
        Assert.All(url.Hosts, host =>
        {
            var settings = new NpgsqlConnectionStringBuilder(host.ConnectionString);
            Assert.Equal(("u", password, "db"), (settings.Username, settings.Password, settings.Database));
        });
    }

    [Fact]
    public void Parameters_of_libpq_are_taken_over()
    {
        Assert.True(PostgresUrl.TryParse("postgres://u@h/db?connect_timeout=7&application_name=gate&channel_binding="
            + "require&sslcert=/c&sslkey=/k&options=-c%20geqo%3Doff&target_session_attrs=any&sslmode=allow",
            out PostgresUrl? url, out string? fault), fault);

        var settings = new NpgsqlConnectionStringBuilder(url.ConnectionString);
        Assert.Equal((7, "gate", ChannelBinding.Require, "/c", "/k", "-c geqo=off", SslMode.Allow),
            (settings.Timeout, settings.ApplicationName, settings.ChannelBinding, settings.SslCertificate,
            settings.SslKey, settings.Options, settings.SslMode));
        Assert.False(url.MustBeWritable);
    }

    [Theory]
    [InlineData("sslmode=require", false)]
    [InlineData("sslmode=prefer&sslrootcert=/r", false)] // as libpq
    [InlineData("sslmode=require&sslrootcert=/r", true)]
    [InlineData("sslrootcert=/r&sslmode=require", true)]
    [InlineData("sslrootcert=/r", true)]
    [InlineData("sslrootcert=system", true)]
    [InlineData("sslmode=verify-ca", true)]
    [InlineData("sslmode=verify-full&sslrootcert=/r", true)]
    public void Certificate_is_checked_where_libpq_checks_it(string query, bool isChecked)
    {
        Assert.True(PostgresUrl.TryParse("postgres://u@h/db?" + query, out PostgresUrl? url, out string? fault), fault);

        Assert.Equal(isChecked, url.Tls != PostgresTls.Unchecked);
        if (isChecked)
        {
            Assert.Contains("SSL Mode=Require", url.ConnectionString);
        }
    }

    [Theory]
    [InlineData("?sslmod=require", "parameter 'sslmod'", "did you mean 'sslmode'?")]
    [InlineData("?foo=1", "parameter 'foo'", "Penstock knows: application_name")]
    [InlineData("?s%20e=1", "an invalid parameter name", "Penstock knows")]
    [InlineData("?sslmode=on", "sslmode", "verify-full")]
    [InlineData("?sslmode=1", "sslmode", "verify-full")]
    [InlineData("?sslmode=", "sslmode", "verify-full")]
    [InlineData("?sslrootcert=system&sslmode=require", "sslrootcert=system", "verify-full")]
    [InlineData("?connect_timeout=0", "connect_timeout", "seconds from 1 to 60")]
    [InlineData("?connect_timeout=2s", "connect_timeout", "seconds from 1 to 60")]
    [InlineData("?channel_binding=yes", "channel_binding", "disable, prefer or require")]
    [InlineData("?target_session_attrs=standby", "target_session_attrs", "Penstock writes into the database")]
    [InlineData("?port=x", "port", "1 to 65535")]
    [InlineData("?port=1,2", "as many ports as hosts", "")]
    [InlineData("?dbname=", "names no database", "postgres://user")]
    [InlineData("?host=", "names no host", "postgres://user")]
    public void Faulty_parameter_is_named_and_no_secret(string query, string what, string instead)
    {
        string setting = "postgres://user:s3cr3t@host/db" + query;

        Assert.False(ClientStores.IsKnown(setting));
        Assert.Contains(what, ClientStores.Fault(setting));
        Assert.Contains(instead, ClientStores.Fault(setting));
        Assert.DoesNotContain("s3cr3t", ClientStores.Fault(setting));
    }
}
