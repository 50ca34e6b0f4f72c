'use strict'

const assert = require('node:assert')
const test = require('node:test')
const greeting = require('./greeting.js')

test('the server greets through the NAT', async () => {
  assert.strictEqual(await greeting.of('http://server/'), 'Hello from the server.')
})

test('a port where nobody listens is refused', async () => {
  await assert.rejects(greeting.of('http://server:8081/'), (error) => error.cause.code === 'ECONNREFUSED')
})
