// Gives each event back that AWS's own library has a class for.
package events;

import com.amazonaws.services.lambda.runtime.events.APIGatewayProxyRequestEvent;
import com.amazonaws.services.lambda.runtime.events.APIGatewayV2HTTPEvent;
import com.amazonaws.services.lambda.runtime.events.ApplicationLoadBalancerRequestEvent;
import com.amazonaws.services.lambda.runtime.events.CloudFormationCustomResourceEvent;
import com.amazonaws.services.lambda.runtime.events.CloudWatchLogsEvent;
import com.amazonaws.services.lambda.runtime.events.CodeCommitEvent;
import com.amazonaws.services.lambda.runtime.events.ConnectEvent;
import com.amazonaws.services.lambda.runtime.events.DynamodbEvent;
import com.amazonaws.services.lambda.runtime.events.KinesisEvent;
import com.amazonaws.services.lambda.runtime.events.S3Event;
import com.amazonaws.services.lambda.runtime.events.SNSEvent;
import com.amazonaws.services.lambda.runtime.events.SQSEvent;
import com.amazonaws.services.lambda.runtime.events.ScheduledEvent;

public class Echo {
    public S3Event s3(S3Event event) {
        return event;
    }

    public SQSEvent sqs(SQSEvent event) {
        return event;
    }

    public SNSEvent sns(SNSEvent event) {
        return event;
    }

    public KinesisEvent kinesis(KinesisEvent event) {
        return event;
    }

    public DynamodbEvent dynamodb(DynamodbEvent event) {
        return event;
    }

    public ScheduledEvent scheduled(ScheduledEvent event) {
        return event;
    }

    public APIGatewayProxyRequestEvent rest(APIGatewayProxyRequestEvent event) {
        return event;
    }

    public APIGatewayV2HTTPEvent http(APIGatewayV2HTTPEvent event) {
        return event;
    }

    public ApplicationLoadBalancerRequestEvent balancer(ApplicationLoadBalancerRequestEvent event) {
        return event;
    }

    public CloudFormationCustomResourceEvent resource(CloudFormationCustomResourceEvent event) {
        return event;
    }

    public CloudWatchLogsEvent logs(CloudWatchLogsEvent event) {
        return event;
    }

    public CodeCommitEvent commit(CodeCommitEvent event) {
        return event;
    }

    public ConnectEvent connect(ConnectEvent event) {
        return event;
    }

    public Kinds kinds(Kinds event) {
        return event;
    }

    public Object anything(Object event) {
        return event;
    }
}
