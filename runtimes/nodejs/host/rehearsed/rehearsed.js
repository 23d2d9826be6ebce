// A handler as most are, in a CommonJS module.
'use strict';

exports.handler = async (event, context) => ({ event, left: context.getRemainingTimeInMillis() });
