// SPDX-License-Identifier: Apache-2.0
// The aedes broker (MQTT 3.1.1, everything in memory) for tests:
//   node broker.js FOLDER_OF_AEDES PORT [TLS_PORT CA CERT KEY]
// The second listener asks for a client certificate.
'use strict'
const fs = require('fs')
const net = require('net')
const tls = require('tls')
const [folder, port, tlsPort, ca, cert, key] = process.argv.slice(2)
const broker = require(folder + '/node_modules/aedes').createBroker({ queueLimit: 100000 })

broker.on('clientError', (client, error) => console.error('client', client && client.id, error.message))
broker.on('connectionError', (client, error) => console.error('connection', client && client.id, error.message))
if (tlsPort) {
  const options = { ca: fs.readFileSync(ca), cert: fs.readFileSync(cert), key: fs.readFileSync(key) }
  tls.createServer({ ...options, requestCert: true, rejectUnauthorized: true }, broker.handle).listen(tlsPort, '127.0.0.1')
}
net.createServer(broker.handle).listen(port, '127.0.0.1')
process.on('SIGTERM', () => process.exit(0))
