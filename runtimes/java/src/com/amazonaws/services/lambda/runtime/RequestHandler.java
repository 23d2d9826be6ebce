// What most handlers implement: one object in, one object out, both of them JSON outside.
package com.amazonaws.services.lambda.runtime;

public interface RequestHandler<I, O> {
    O handleRequest(I input, Context context);
}
