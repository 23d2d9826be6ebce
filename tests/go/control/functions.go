package main

import (
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"
)

func invoked(client *lambda.Client, input lambda.InvokeInput) []any {
	input.FunctionName = &name
	reply := must(client.Invoke(ctx, &input))
	return []any{reply.StatusCode, aws.ToString(reply.ExecutedVersion), string(reply.Payload)}
}

func streamed(client *lambda.Client, payload string) []any {
	input := lambda.InvokeWithResponseStreamInput{FunctionName: &name, Payload: []byte(payload)}
	reply := must(client.InvokeWithResponseStream(ctx, &input))
	stream := reply.GetStream()
	defer stream.Close()
	got := []byte{}
	for event := range stream.Events() {
		switch event := event.(type) {
		case *types.InvokeWithResponseStreamResponseEventMemberPayloadChunk:
			got = append(got, event.Value.Payload...)
		case *types.InvokeWithResponseStreamResponseEventMemberInvokeComplete:
			if event.Value.ErrorCode != nil {
				panic(*event.Value.ErrorDetails)
			}
		}
	}
	check(stream.Err())
	return []any{*reply.ExecutedVersion, json.RawMessage(got)}
}

func waitForUpdate(client *lambda.Client) {
	waiter := lambda.NewFunctionUpdatedV2Waiter(client)
	check(waiter.Wait(ctx, &lambda.GetFunctionInput{FunctionName: &name}, patience))
}

func functionOf(in wanted, called string) *lambda.CreateFunctionInput {
	return &lambda.CreateFunctionInput{
		FunctionName: &called,
		Runtime:      types.RuntimePython312,
		Role:         &in.Role,
		Handler:      aws.String("app.handler"),
		Code:         &types.FunctionCode{ZipFile: in.First},
		Environment:  &types.Environment{Variables: map[string]string{"SAID": "one"}},
	}
}

func functions(client *lambda.Client, in wanted) map[string]any {
	saw := map[string]any{}
	made := must(client.CreateFunction(ctx, functionOf(in, name)))
	saw["created"] = []any{*made.FunctionArn, made.State, *made.Timeout, *made.CodeSha256}
	active := lambda.NewFunctionActiveV2Waiter(client)
	check(active.Wait(ctx, &lambda.GetFunctionInput{FunctionName: &name}, patience))
	saw["answered"] = invoked(client, lambda.InvokeInput{
		Payload: []byte(`{"a":1}`), LogType: types.LogTypeTail,
	})
	saw["accepted"] = invoked(client, lambda.InvokeInput{
		Payload: []byte("{}"), InvocationType: types.InvocationTypeEvent,
	})
	saw["tried"] = invoked(client, lambda.InvokeInput{InvocationType: types.InvocationTypeDryRun})
	saw["streamed"] = streamed(client, `{"b":2}`)
	must(client.PublishVersion(ctx, &lambda.PublishVersionInput{
		FunctionName: &name, Description: aws.String("one"),
	}))

	must(client.UpdateFunctionCode(ctx, &lambda.UpdateFunctionCodeInput{
		FunctionName: &name, ZipFile: in.Second,
	}))
	waitForUpdate(client)
	must(client.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{
		FunctionName: &name,
		Timeout:      aws.Int32(9),
		Environment:  &types.Environment{Variables: map[string]string{"SAID": "two"}},
	}))
	waitForUpdate(client)
	saw["changed"] = invoked(client, lambda.InvokeInput{Payload: []byte("{}")})
	version := must(client.PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: &name})).Version
	published := lambda.NewPublishedVersionActiveWaiter(client)
	check(published.Wait(ctx, &lambda.GetFunctionConfigurationInput{
		FunctionName: &name, Qualifier: version,
	}, patience))
	useAlias(client, saw, *version)
	useSources(client, saw, in)

	saw["faults"] = faults(client, in)
	must(client.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &name}))
	must(client.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: aws.String("g")}))
	saw["left"] = must(client.ListFunctions(ctx, &lambda.ListFunctionsInput{})).Functions
	return saw
}

func useAlias(client *lambda.Client, saw map[string]any, second string) {
	live := aws.String("live")
	alias := must(client.CreateAlias(ctx, &lambda.CreateAliasInput{
		FunctionName: &name, Name: live, FunctionVersion: aws.String("1"),
		RoutingConfig: &types.AliasRoutingConfiguration{
			AdditionalVersionWeights: map[string]float64{second: 0.25},
		},
	}))
	got := must(client.GetAlias(ctx, &lambda.GetAliasInput{FunctionName: &name, Name: live}))
	saw["alias"] = []any{*alias.AliasArn, got.RoutingConfig.AdditionalVersionWeights}
	must(client.UpdateAlias(ctx, &lambda.UpdateAliasInput{
		FunctionName: &name, Name: live,
		RoutingConfig: &types.AliasRoutingConfiguration{
			AdditionalVersionWeights: map[string]float64{},
		},
	}))
	saw["live"] = invoked(client, lambda.InvokeInput{Qualifier: live, Payload: []byte("{}")})
}

func useSources(client *lambda.Client, saw map[string]any, in wanted) {
	url := must(client.CreateFunctionUrlConfig(ctx, &lambda.CreateFunctionUrlConfigInput{
		FunctionName: &name, AuthType: types.FunctionUrlAuthTypeAwsIam,
	}))
	same := must(client.GetFunctionUrlConfig(ctx, &lambda.GetFunctionUrlConfigInput{FunctionName: &name}))
	saw["url"] = *url.FunctionUrl == *same.FunctionUrl
	mapping := must(client.CreateEventSourceMapping(ctx, &lambda.CreateEventSourceMappingInput{
		FunctionName: &name, EventSourceArn: &in.Queue,
	}))
	saw["mapping"] = []any{*mapping.State, !enabled(client, mapping.UUID).LastModified.IsZero()}

	must(client.CreateFunction(ctx, functionOf(in, "g")))
	saw["lists"] = lists(client, *mapping.UUID)
	must(client.DeleteEventSourceMapping(ctx, &lambda.DeleteEventSourceMappingInput{UUID: mapping.UUID}))
	must(client.DeleteFunctionUrlConfig(ctx, &lambda.DeleteFunctionUrlConfigInput{FunctionName: &name}))
	must(client.DeleteAlias(ctx, &lambda.DeleteAliasInput{FunctionName: &name, Name: aws.String("live")}))
}

// One that is in the making cannot be deleted.
func enabled(client *lambda.Client, uuid *string) *lambda.GetEventSourceMappingOutput {
	for {
		got := must(client.GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: uuid}))
		if *got.State == "Enabled" {
			return got
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// By pages of one.
func lists(client *lambda.Client, mapping string) []any {
	one := aws.Int32(1)
	names := all(
		lambda.NewListFunctionsPaginator(client, &lambda.ListFunctionsInput{MaxItems: one}),
		func(page *lambda.ListFunctionsOutput) (rows []string) {
			for _, each := range page.Functions {
				rows = append(rows, *each.FunctionName)
			}
			return
		})
	numbers := all(
		lambda.NewListVersionsByFunctionPaginator(client, &lambda.ListVersionsByFunctionInput{
			FunctionName: &name, MaxItems: one,
		}),
		func(page *lambda.ListVersionsByFunctionOutput) (rows []string) {
			for _, each := range page.Versions {
				rows = append(rows, *each.Version)
			}
			return
		})
	aliases := all(
		lambda.NewListAliasesPaginator(client, &lambda.ListAliasesInput{FunctionName: &name, MaxItems: one}),
		func(page *lambda.ListAliasesOutput) (rows []string) {
			for _, each := range page.Aliases {
				rows = append(rows, *each.Name)
			}
			return
		})
	mappings := all(
		lambda.NewListEventSourceMappingsPaginator(client, &lambda.ListEventSourceMappingsInput{
			FunctionName: &name, MaxItems: one,
		}),
		func(page *lambda.ListEventSourceMappingsOutput) (rows []bool) {
			for _, each := range page.EventSourceMappings {
				rows = append(rows, *each.UUID == mapping)
			}
			return
		})
	urls := all(
		lambda.NewListFunctionUrlConfigsPaginator(client, &lambda.ListFunctionUrlConfigsInput{
			FunctionName: &name, MaxItems: one,
		}),
		func(page *lambda.ListFunctionUrlConfigsOutput) []types.FunctionUrlConfig {
			return page.FunctionUrlConfigs
		})
	return []any{names, numbers, aliases, mappings, len(urls)}
}

func faults(client *lambda.Client, in wanted) [][]any {
	h := aws.String("h")
	_, noFunction := client.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: h})
	_, twice := client.CreateFunction(ctx, functionOf(in, name))
	other := functionOf(in, "h")
	other.Role = aws.String("me")
	_, noRole := client.CreateFunction(ctx, other)
	other = functionOf(in, "h")
	other.Code.ZipFile = []byte("x")
	_, noZip := client.CreateFunction(ctx, other)
	_, old := client.PublishVersion(ctx, &lambda.PublishVersionInput{
		FunctionName: &name, RevisionId: aws.String("old"),
	})
	_, noJSON := client.Invoke(ctx, &lambda.InvokeInput{FunctionName: &name, Payload: []byte("{")})
	_, noAlias := client.Invoke(ctx, &lambda.InvokeInput{
		FunctionName: &name, Qualifier: aws.String("dead"),
	})
	_, noStream := client.InvokeWithResponseStream(ctx, &lambda.InvokeWithResponseStreamInput{
		FunctionName: h,
	})
	_, noProvider := client.GetCapacityProvider(ctx, &lambda.GetCapacityProviderInput{
		CapacityProviderName: aws.String("c"),
	})
	return [][]any{
		fault[*types.ResourceNotFoundException](noFunction),
		fault[*types.ResourceConflictException](twice),
		fault[*smithy.GenericAPIError](noRole),
		fault[*types.InvalidParameterValueException](noZip),
		fault[*types.PreconditionFailedException](old),
		fault[*types.InvalidRequestContentException](noJSON),
		fault[*types.ResourceNotFoundException](noAlias),
		fault[*types.ResourceNotFoundException](noStream),
		fault[*types.ResourceNotFoundException](noProvider),
	}
}
