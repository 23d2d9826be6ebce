package main

import (
	"encoding/json"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

const signer = "arn:aws:signer:us-east-1:123456789012:/signing-profiles/p/0123456789"

// What stands round a function.
func resources(client *lambda.Client, in wanted) map[string]any {
	saw := map[string]any{}
	layer := must(client.PublishLayerVersion(ctx, &lambda.PublishLayerVersionInput{
		LayerName:          aws.String("l"),
		Content:            &types.LayerVersionContentInput{ZipFile: in.Layer},
		CompatibleRuntimes: []types.Runtime{types.RuntimePython312},
	}))
	saw["layer"] = []any{*layer.LayerVersionArn, layer.Version}
	wanted := functionOf(in, name)
	wanted.Layers = []string{*layer.LayerVersionArn}
	wanted.Publish = true
	made := must(client.CreateFunction(ctx, wanted))
	active := lambda.NewFunctionActiveV2Waiter(client)
	check(active.Wait(ctx, &lambda.GetFunctionInput{FunctionName: &name}, patience))
	invoked(client, lambda.InvokeInput{Payload: []byte("{}")})

	saw["policy"] = permitted(client)
	saw["tags"] = tagged(client, strings.TrimSuffix(*made.FunctionArn, ":1"))
	must(client.PutFunctionConcurrency(ctx, &lambda.PutFunctionConcurrencyInput{
		FunctionName: &name, ReservedConcurrentExecutions: aws.Int32(0),
	}))
	_, stopped := client.Invoke(ctx, &lambda.InvokeInput{FunctionName: &name})
	saw["stopped"] = fault[*types.TooManyRequestsException](stopped)
	must(client.DeleteFunctionConcurrency(ctx, &lambda.DeleteFunctionConcurrencyInput{
		FunctionName: &name,
	}))
	configure(client, in, saw)
	settings := must(config.LoadDefaultConfig(ctx))
	identity := sts.NewFromConfig(settings)
	saw["account"] = must(identity.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})).Account
	must(client.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &name}))
	must(client.DeleteLayerVersion(ctx, &lambda.DeleteLayerVersionInput{
		LayerName: aws.String("l"), VersionNumber: aws.Int64(1),
	}))
	return saw
}

// The statements of its policy while it has one.
func permitted(client *lambda.Client) []string {
	must(client.AddPermission(ctx, &lambda.AddPermissionInput{
		FunctionName: &name,
		StatementId:  aws.String("s"),
		Action:       aws.String("lambda:InvokeFunction"),
		Principal:    aws.String("s3.amazonaws.com"),
	}))
	var policy struct{ Statement []struct{ Sid string } }
	text := must(client.GetPolicy(ctx, &lambda.GetPolicyInput{FunctionName: &name})).Policy
	check(json.Unmarshal([]byte(*text), &policy))
	must(client.RemovePermission(ctx, &lambda.RemovePermissionInput{
		FunctionName: &name, StatementId: aws.String("s"),
	}))
	sids := []string{}
	for _, each := range policy.Statement {
		sids = append(sids, each.Sid)
	}
	return sids
}

func tagged(client *lambda.Client, arn string) map[string]string {
	must(client.TagResource(ctx, &lambda.TagResourceInput{
		Resource: &arn, Tags: map[string]string{"a": "1", "b": "2"},
	}))
	must(client.UntagResource(ctx, &lambda.UntagResourceInput{
		Resource: &arn, TagKeys: []string{"a"},
	}))
	return must(client.ListTags(ctx, &lambda.ListTagsInput{Resource: &arn})).Tags
}

func configure(client *lambda.Client, in wanted, saw map[string]any) {
	one := aws.String("1")
	must(client.PutFunctionEventInvokeConfig(ctx, &lambda.PutFunctionEventInvokeConfigInput{
		FunctionName:         &name,
		MaximumRetryAttempts: aws.Int32(1),
		DestinationConfig: &types.DestinationConfig{
			OnFailure: &types.OnFailure{Destination: &in.Queue},
		},
	}))
	provisioned := must(client.PutProvisionedConcurrencyConfig(
		ctx, &lambda.PutProvisionedConcurrencyConfigInput{
			FunctionName: &name, Qualifier: one, ProvisionedConcurrentExecutions: aws.Int32(1),
		}))
	saw["provisioned"] = provisioned.Status
	signed := must(client.CreateCodeSigningConfig(ctx, &lambda.CreateCodeSigningConfigInput{
		AllowedPublishers: &types.AllowedPublishers{SigningProfileVersionArns: []string{signer}},
	}))
	signing := signed.CodeSigningConfig.CodeSigningConfigArn
	saw["lists"] = resourceLists(client)

	must(client.DeleteProvisionedConcurrencyConfig(
		ctx, &lambda.DeleteProvisionedConcurrencyConfigInput{FunctionName: &name, Qualifier: one}))
	must(client.DeleteFunctionEventInvokeConfig(ctx, &lambda.DeleteFunctionEventInvokeConfigInput{
		FunctionName: &name,
	}))
	must(client.DeleteCodeSigningConfig(ctx, &lambda.DeleteCodeSigningConfigInput{
		CodeSigningConfigArn: signing,
	}))
	_, noPolicy := client.GetPolicy(ctx, &lambda.GetPolicyInput{FunctionName: &name})
	_, notReady := client.GetProvisionedConcurrencyConfig(
		ctx, &lambda.GetProvisionedConcurrencyConfigInput{FunctionName: &name, Qualifier: one})
	_, noConfig := client.GetFunctionEventInvokeConfig(ctx, &lambda.GetFunctionEventInvokeConfigInput{
		FunctionName: &name,
	})
	_, noSigning := client.GetCodeSigningConfig(ctx, &lambda.GetCodeSigningConfigInput{
		CodeSigningConfigArn: signing,
	})
	saw["faults"] = [][]any{
		fault[*types.ResourceNotFoundException](noPolicy),
		fault[*types.ProvisionedConcurrencyConfigNotFoundException](notReady),
		fault[*types.ResourceNotFoundException](noConfig),
		fault[*types.ResourceNotFoundException](noSigning),
	}
}

// How many there are of each, by pages of one.
func resourceLists(client *lambda.Client) []int {
	one := aws.Int32(1)
	layers := all(
		lambda.NewListLayersPaginator(client, &lambda.ListLayersInput{MaxItems: one}),
		func(page *lambda.ListLayersOutput) []types.LayersListItem { return page.Layers })
	versions := all(
		lambda.NewListLayerVersionsPaginator(client, &lambda.ListLayerVersionsInput{
			LayerName: aws.String("l"), MaxItems: one,
		}),
		func(page *lambda.ListLayerVersionsOutput) []types.LayerVersionsListItem {
			return page.LayerVersions
		})
	configs := all(
		lambda.NewListFunctionEventInvokeConfigsPaginator(
			client, &lambda.ListFunctionEventInvokeConfigsInput{FunctionName: &name, MaxItems: one}),
		func(page *lambda.ListFunctionEventInvokeConfigsOutput) []types.FunctionEventInvokeConfig {
			return page.FunctionEventInvokeConfigs
		})
	provisioned := all(
		lambda.NewListProvisionedConcurrencyConfigsPaginator(
			client, &lambda.ListProvisionedConcurrencyConfigsInput{FunctionName: &name, MaxItems: one}),
		func(page *lambda.ListProvisionedConcurrencyConfigsOutput) []types.ProvisionedConcurrencyConfigListItem {
			return page.ProvisionedConcurrencyConfigs
		})
	signing := all(
		lambda.NewListCodeSigningConfigsPaginator(client, &lambda.ListCodeSigningConfigsInput{MaxItems: one}),
		func(page *lambda.ListCodeSigningConfigsOutput) []types.CodeSigningConfig {
			return page.CodeSigningConfigs
		})
	return []int{len(layers), len(versions), len(configs), len(provisioned), len(signing)}
}
