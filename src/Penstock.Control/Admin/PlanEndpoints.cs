using System.ComponentModel;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Penstock.Control.Store;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Admin;

/// <summary><c>/plans</c>: a plan is a capacity and a rate for many clients.</summary>
internal static class PlanEndpoints
{
    public static void MapPlans(this IEndpointRouteBuilder app, ClientDirectory directory)
    {
        RouteGroupBuilder plans = app.MapGroup("/plans").WithTags("Plans");
        MapReads(plans, directory);
        MapWrites(plans, directory);
    }

    private static void MapReads(RouteGroupBuilder plans, ClientDirectory directory)
    {
        plans.MapGet("", () => directory.TryPlans(out List<(PlanNumbers Plan, long Clients)>? all)
                ? Results.Ok(new PlanPage([.. all.Select(plan => View(directory, plan.Plan, plan.Clients))]))
                : ClientEndpoints.StoreFailed(directory.StoreFault ?? ""))
            .Describe("listPlans", "List all plans", "Plans are ordered by name.")
            .Produces<PlanPage>().Errors(503);

        plans.MapGet("/{name}", ([FromRoute, Description("The plan.")] string name) => Find(directory, name))
            .Describe("getPlan", "Get a plan", "Returns its numbers and how many clients have it.")
            .Produces<PlanView>().Errors(404, 503);
    }

    private static void MapWrites(RouteGroupBuilder plans, ClientDirectory directory)
    {
        plans.MapPut("/{name}", (HttpContext http, [FromRoute, Description("The plan.")] string name) =>
                PutAsync(http, directory, name, partial: false))
            .Accepts<Numbers>("application/json")
            .Describe("putPlan", "Create or change a plan", "The new numbers apply from the next request of each of "
                + "its clients, at all nodes. The clients keep their tokens, at most the new capacity.")
            .Produces<PlanView>().Produces<PlanView>(201).Errors(400, 409, 413, 415, 503);

        plans.MapPatch("/{name}", (HttpContext http, [FromRoute, Description("The plan.")] string name) =>
                PutAsync(http, directory, name, partial: true))
            .Accepts<NumbersPatch>("application/merge-patch+json", "application/json")
            .Describe("patchPlan", "Change one number of a plan", "A JSON merge-patch.")
            .Produces<PlanView>().Errors(400, 404, 409, 413, 415, 503);

        plans.MapDelete("/{name}", (HttpContext http, [FromRoute, Description("The plan.")] string name) =>
                Answer(http, directory, ClientEndpoints.Id(name),
                    directory.DeletePlan(ClientEndpoints.Id(name))))
            .Describe("deletePlan", "Delete a plan", "409 while clients have the plan; the message says how many.")
            .Produces(204).Errors(404, 409, 503);
    }

    private static async Task<IResult> PutAsync(
        HttpContext http, ClientDirectory directory, string segment, bool partial)
    {
        string name = ClientEndpoints.Id(segment);
        ClientBody body = await ClientBody.ReadPlanAsync(http.Request, name, partial);
        return body.Error is { } error ? error.ToResult()
            : Answer(http, directory, name,
                directory.PutPlan(name, body.Change, partial));
    }

    private static IResult Find(ClientDirectory directory, string segment)
    {
        string name = ClientEndpoints.Id(segment);
        if (!directory.TryPlans(out List<(PlanNumbers Plan, long Clients)>? all))
        {
            return ClientEndpoints.StoreFailed(directory.StoreFault ?? "");
        }

        foreach ((PlanNumbers plan, long clients) in all)
        {
            if (plan.Name == name)
            {
                return Results.Ok(View(directory, plan, clients));
            }
        }
        return NotThere(name);
    }

    private static IResult Answer(HttpContext http, ClientDirectory directory, string name, PlanResult edit)
    {
        AdminAudit.Note(http, edit.Change.Length == 0 ? "" : $"plan {name}: {edit.Change}");
        switch (edit.Outcome)
        {
            case EditOutcome.Created:
                http.Response.Headers.Location = "/plans/" + Uri.EscapeDataString(name);
                return Results.Json(
                    View(directory, edit.Plan, edit.Clients), AdminJson.Types.PlanView, statusCode: 201);
            case EditOutcome.Updated:
                return Results.Ok(View(directory, edit.Plan, edit.Clients));
            case EditOutcome.Deleted:
                return Results.NoContent();
            case EditOutcome.NotFound:
                return NotThere(name);
            case EditOutcome.Exists when edit.InFile:
                return new ApiError(409, $"plan '{name}' is in the configuration file: change it there and reload")
                    .ToResult();
            case EditOutcome.Exists:
                return new ApiError(409, $"plan '{name}' has {edit.Clients} client{(edit.Clients == 1 ? "" : "s")}: "
                    + "first give them another plan or their own numbers").ToResult();
            case EditOutcome.Invalid:
                return ClientBody.Invalid(edit.Faults!).ToResult();
            default:
                return ClientEndpoints.StoreFailed(edit.Cause);
        }
    }

    private static PlanView View(ClientDirectory directory, PlanNumbers plan, long clients) => new(plan.Name,
        plan.Numbers.Capacity, plan.Numbers.RatePerSecond, clients, directory.IsInFile(plan.Name) ? "config" : "api");

    private static IResult NotThere(string name) => new ApiError(404, $"there is no plan '{name}'").ToResult();
}
