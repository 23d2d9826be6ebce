// AWS's own library of events has Java names; the events have others. Its classes carry no
// annotations that say so: Lambda's runtime knows them, and so must this.
package microfaas.json;

import java.util.Map;
import java.util.Set;

final class EventNames {
    private static final String[] PACKAGES = {
        "com.amazonaws.services.lambda.runtime.events.",
        "com.amazonaws.services.dynamodbv2.model.",
        "com.amazonaws.services.s3.event.",
        "com.amazonaws.services.kinesis.model.",
    };
    // Classes, without their packages, whose names all begin with a capital in JSON.
    private static final Set<String> CAPITALS = Set.of(
            "SNSEvent", "ConnectEvent", "CloudFormationCustomResourceEvent", "StreamRecord");
    private static final Map<String, String> OTHERS = Map.ofEntries(
            Map.entry("SNSRecord.SNS", "Sns"),
            Map.entry("ContactData.instanceArn", "InstanceARN"),
            Map.entry("CloudFormationCustomResourceEvent.responseUrl", "ResponseURL"),
            Map.entry("ResponseElementsEntity.xAmzId2", "x-amz-id-2"),
            Map.entry("ResponseElementsEntity.xAmzRequestId", "x-amz-request-id"),
            Map.entry("SQSMessage.eventSourceArn", "eventSourceARN"),
            Map.entry("DynamodbStreamRecord.eventSourceArn", "eventSourceARN"),
            Map.entry("DynamodbTimeWindowEvent.eventSourceArn", "eventSourceARN"),
            Map.entry("KinesisTimeWindowEvent.eventSourceArn", "eventSourceARN"),
            Map.entry("CodeCommitEvent$Record.eventSourceArn", "eventSourceARN"),
            Map.entry("CodeCommitEvent$Record.userIdentityArn", "userIdentityARN"),
            Map.entry("CodeCommitEvent$Record.codeCommit", "codecommit"),
            Map.entry("CloudWatchLogsEvent.awsLogs", "awslogs"),
            Map.entry("ScheduledEvent.detailType", "detail-type"));

    private EventNames() {}

    static boolean isEvent(Class<?> type) {
        String name = type.getName();
        for (String prefix : PACKAGES) {
            if (name.startsWith(prefix)) {
                return true;
            }
        }
        return false;
    }

    // The S3 event's classes can only be made with all their values.
    static boolean takesArguments(Class<?> type) {
        boolean ofS3 = type.getName().contains("S3EventNotification") || type.getSimpleName().equals("S3Event");
        return ofS3 && isEvent(type);
    }

    static String inJson(Class<?> type, String property) {
        return isEvent(type) ? renamed(type, property) : property;
    }

    private static String renamed(Class<?> type, String property) {
        String path = type.getName().substring(type.getPackageName().length() + 1);
        String other = OTHERS.get(path + "." + property);
        if (other == null) {
            other = OTHERS.get(type.getSimpleName() + "." + property);
        }
        if (other != null) {
            return other;
        } else if (type.getSimpleName().equals("AttributeValue")) {
            return property.toUpperCase();
        } else if (CAPITALS.contains(path.split("\\$")[0]) || property.equals("records") && !path.startsWith("Kafka")) {
            return Character.toUpperCase(property.charAt(0)) + property.substring(1);
        }
        return property;
    }
}
