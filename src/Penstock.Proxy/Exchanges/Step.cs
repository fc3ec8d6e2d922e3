namespace Penstock.Proxy.Exchanges;

/// <summary>What <see cref="ClientConnection.ServeAsync"/> does next. The chart in src/Penstock.Proxy/README.md shows
/// which step may follow which.</summary>
internal enum Step : byte
{
    /// <summary>Agree on the keys of TLS with the client.</summary>
    Handshake,

    /// <summary>Begin to read the next request.</summary>
    Read,

    /// <summary>Wait for bytes of a request head.</summary>
    AwaitRequest,

    /// <summary>The head is complete: who sends the request, where does it go, do its limits admit it?</summary>
    Decide,

    /// <summary>Wait for a client's tokens that nodes share, then decide again.</summary>
    AwaitTokens,

    /// <summary>Choose a backend, the first or another one.</summary>
    Pick,

    /// <summary>All backends are full: wait for a slot at one.</summary>
    Queue,

    /// <summary>Wait before the attempt at another backend.</summary>
    Pause,

    /// <summary>Open a connection to the backend.</summary>
    Dial,

    /// <summary>Send the request to the backend.</summary>
    Send,

    /// <summary>Send what did not fit into the backend's socket.</summary>
    FlushRequest,

    /// <summary>Wait for bytes of the response head.</summary>
    AwaitResponse,

    /// <summary>Send the part of an interim response that did not fit into the client's socket.</summary>
    FlushInterim,

    /// <summary>The response takes long: send the request to a second backend as well.</summary>
    Hedge,

    /// <summary>Send the rest of a response: it did not fit into one buffer, or not into the client's socket.
    /// </summary>
    Relay,

    /// <summary>Both sides speak another protocol from now on: relay its bytes.</summary>
    Tunnel,

    /// <summary>Penstock answers itself.</summary>
    Answer,

    /// <summary>End the exchange, and continue with the connection if it may stay open.</summary>
    Finish,

    /// <summary>Close the client connection.</summary>
    Close,
}
