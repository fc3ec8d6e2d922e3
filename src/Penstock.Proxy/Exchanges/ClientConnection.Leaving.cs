namespace Penstock.Proxy.Exchanges;

/// <summary>A client that closes its connection ends its request, wherever that waits.</summary>
internal sealed partial class ClientConnection
{
    public void OnPeerClosed()
    {
        // Whoever waits for octets of the client comes to the end of its stream by itself, after what is before it.
        if (_exchange is not null && ClientHasLeft && !_io.AwaitsData)
        {
            GiveUp();
        }
    }

    /// <summary>Nobody waits for a response any more. A client that ends its stream counts as one that has left, unless
    /// the operator has clients that end only their side (a socket does not tell the two apart).</summary>
    private bool ClientHasLeft => _io.PeerGone || _io.WasCanceled
        || (_io.PeerClosed && !_tunnels && !_snapshot.Config.Bounds.AllowsHalfClose);

    /// <summary>Ends every wait of the exchange under way that is for something else than the client's octets. A new
    /// kind of wait belongs in here. What needs no backend any more, a last flush, goes on.</summary>
    private void GiveUp()
    {
        _tokens?.Cancel();
        _slot?.Cancel();
        _pause?.Cancel();
        if (_backend is { } backend)
        {
            _io.InterruptWaits();
            backend.Io.Cancel();
        }
        _second?.Io.Cancel();
    }
}
