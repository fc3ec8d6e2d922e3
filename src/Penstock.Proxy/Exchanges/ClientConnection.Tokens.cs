using Penstock.Proxy.Connections;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Proxy.Exchanges;

/// <summary>Waiting for tokens of a bucket that nodes share.</summary>
internal sealed partial class ClientConnection
{
    private TokenWait? _tokens;
    private long _tokensBeganMs = -1;

    /// <summary>The request is refused by nothing but the want of these tokens, and they may come: waits, or decides
    /// anew at once. However often it has to wait, it waits no longer than it may in all.</summary>
    private Step AwaitTokens(LeasedClient client)
    {
        if (ClientHasLeft)
        {
            return ClientGone();
        }
        _tokensBeganMs = _tokensBeganMs < 0 ? _loop.NowMs : _tokensBeganMs;
        _tokens ??= _worker.RentTokenWait();
        int cost = _exchange!.Admission.Cost;
        return _tokens.Begin(client, cost, _tokensBeganMs + _snapshot.TokenWaitMs) ? Step.AwaitTokens : JudgeAgain();
    }

    private Step OnTokens(WaitResult result)
    {
        if (!_tokens!.IsOver(result))
        {
            return Step.AwaitTokens;
        }
        if (_tokens.Canceled || ClientHasLeft)
        {
            _tokens.Prepaid?.Charge(_loop.NowNs, -_exchange!.Admission.Cost);
            return ClientGone();
        }
        if (_tokens is { TimedOut: true, Prepaid: null })
        {
            _snapshot.Limiter.NoteWaitedInVain();
        }
        return JudgeAgain();
    }

    private Step JudgeAgain()
    {
        LeasedClient? prepaid = _tokens!.Prepaid;
        _exchange!.Admission.Reset();
        bool mayWait = prepaid is not null && _loop.NowMs < _tokensBeganMs + _snapshot.TokenWaitMs;
        return Judge(mayWait, prepaid);
    }

    private void ReleaseTokens()
    {
        _tokensBeganMs = -1;
        if (_tokens is not null)
        {
            if (_tokens.Abandon())
            {
                _worker.ReturnTokenWait(_tokens);
            }
            _tokens = null;
        }
    }
}
