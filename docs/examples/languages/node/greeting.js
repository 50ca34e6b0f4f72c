// Fetches the first line of a server's page.
'use strict'

exports.of = async (url) => {
  const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) })
  return (await answer.text()).split('\n')[0]
}
