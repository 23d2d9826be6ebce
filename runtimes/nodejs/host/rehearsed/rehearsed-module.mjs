// A handler as most are, in an ES module.
export const handler = async (event, context) => ({
  event,
  left: context.getRemainingTimeInMillis(),
});
