namespace Penstock.Proxy.Exchanges;

/// <summary>What <see cref="ClientConnection.ServeAsync"/> does next. The chart in src/Penstock.Proxy/README.md shows
/// which step may follow which.</summary>
internal enum Step : byte
{
    /// <summary>Begin with the next request.</summary>
    Read,

    /// <summary>Wait for bytes of a request head.</summary>
    AwaitRequest,

    /// <summary>The head is in: who sends it, where does it go, do its limits admit it?</summary>
    Decide,

    /// <summary>Wait for tokens of a client that nodes share; then decide again.</summary>
    AwaitTokens,

    /// <summary>Choose a backend, the first or another one.</summary>
    Pick,

    /// <summary>All backends are full: wait for a place at one.</summary>
    Queue,

    /// <summary>Wait a little before another backend is tried.</summary>
    Pause,

    /// <summary>Open a connection to the backend.</summary>
    Dial,

    /// <summary>Send the request to the backend.</summary>
    Send,

    /// <summary>Send what did not fit into the backend's socket.</summary>
    FlushRequest,

    /// <summary>Wait for bytes of the response head.</summary>
    AwaitResponse,

    /// <summary>Send what did not fit into the client's socket of an interim response.</summary>
    FlushInterim,

    /// <summary>The response takes long: ask a second backend, too.</summary>
    Hedge,

    /// <summary>Send the rest of a response: it did not fit into one buffer, or not into the client's socket.
    /// </summary>
    Relay,

    /// <summary>Both sides speak another protocol from now on: carry its bytes.</summary>
    Tunnel,

    /// <summary>Penstock answers itself.</summary>
    Answer,

    /// <summary>The exchange is over; the connection goes on if it may.</summary>
    Finish,

    /// <summary>Nothing more can be said to this client.</summary>
    Close,
}
