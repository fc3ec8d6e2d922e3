namespace Penstock.Proxy.Exchanges;

/// <summary>What <see cref="ClientConnection.ServeAsync"/> does next.</summary>
internal enum Step : byte
{
    /// <summary>Wait for octets of a request head.</summary>
    AwaitRequest,

    /// <summary>The head is in: who is it, where to, may it?</summary>
    Decide,

    /// <summary>Wait for tokens of a client that nodes share; then decide anew.</summary>
    AwaitTokens,

    /// <summary>Choose a backend, the first or another one.</summary>
    Pick,

    /// <summary>Wait before choosing: for a place, when all backends are full, or a little, after a failure.</summary>
    Wait,

    /// <summary>Open a connection to the backend.</summary>
    Dial,

    /// <summary>Send the request to the backend.</summary>
    Send,

    /// <summary>The rest of what did not fit into the backend's socket.</summary>
    FlushRequest,

    /// <summary>Wait for octets of the response head.</summary>
    AwaitResponse,

    /// <summary>The response takes long: ask a second backend, too.</summary>
    Hedge,

    /// <summary>An interim response did not fit into the client's socket.</summary>
    FlushInterim,

    /// <summary>The response did not fit into one buffer, or not into the client's socket.</summary>
    Relay,

    /// <summary>Both sides speak another protocol from now on: carry its octets.</summary>
    Tunnel,

    /// <summary>Answer ourselves.</summary>
    Answer,

    /// <summary>The exchange is over; the connection goes on if it may.</summary>
    Finish,

    /// <summary>Nothing more can be said to this client.</summary>
    Close,
}
