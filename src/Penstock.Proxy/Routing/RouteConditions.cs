using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Routing;

/// <summary>A route's conditions besides host and path. Immutable, thread-safe.</summary>
internal sealed class RouteConditions(RouteConfig config)
{
    private readonly byte[][] _methods = [.. config.Methods.Select(Encoding.ASCII.GetBytes)];
    private readonly Condition[] _headers = [.. config.Headers.Select(static c => new Condition(c))];
    private readonly Condition[] _query = [.. config.Query.Select(static c => new Condition(c))];

    public bool Hold(RequestHead request, ReadOnlySpan<byte> head)
    {
        if (_methods.Length > 0 && !HasMethod(request.MethodName.Of(head)))
        {
            return false;
        }
        foreach (Condition header in _headers)
        {
            if (!HasField(request, head, header))
            {
                return false;
            }
        }
        foreach (Condition parameter in _query)
        {
            if (!HasParameter(request.Query.Of(head), parameter))
            {
                return false;
            }
        }
        return true;
    }

    private bool HasMethod(ReadOnlySpan<byte> name)
    {
        foreach (byte[] method in _methods)
        {
            if (name.SequenceEqual(method))
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>Whether any field line of the name matches. A second line of the name cannot undo the match.</summary>
    private static bool HasField(RequestHead request, ReadOnlySpan<byte> head, Condition wanted)
    {
        foreach (ref readonly Field field in request.Fields)
        {
            if (field.Name.Length == wanted.Name.Length && Ascii.EqualsIgnoreCase(field.Name.Of(head), wanted.Name)
                && (wanted.Value is null || field.Value.Of(head).SequenceEqual(wanted.Value)))
            {
                return true;
            }
        }
        return false;
    }

    private static bool HasParameter(ReadOnlySpan<byte> query, Condition wanted)
    {
        var parameters = new QueryParameters(query);
        while (parameters.MoveNext())
        {
            if (FormText.EqualsDecoded(parameters.Name, wanted.Name)
                && (wanted.Value is null || FormText.EqualsDecoded(parameters.Value, wanted.Value)))
            {
                return true;
            }
        }
        return false;
    }

    private sealed class Condition(RouteCondition config)
    {
        public readonly byte[] Name = Encoding.UTF8.GetBytes(config.Name);
        public readonly byte[]? Value = config.Value is null ? null : Encoding.UTF8.GetBytes(config.Value);
    }
}
