// An Express application behind serverless-http.
'use strict';

const express = require('express');
const serverless = require('serverless-http');

const app = express();
app.use(express.json());
app.use(express.urlencoded({ extended: false }));
app.get('/hello/:name', (request, response) => {
  response.json({ hello: request.params.name, by: request.query.by, ip: request.ip });
});
app.post('/echo', (request, response) => {
  response.cookie('a', '1').cookie('b', '2').status(201).json(request.body);
});
app.get('/bytes', (request, response) => {
  response.type('application/octet-stream').send(Buffer.from([0, 255]));
});
exports.handler = serverless(app, { binary: ['application/octet-stream'] });
