# The image of the scheduled jobs and of the populate script. Two stages: the compiler and the development
# dependencies stay behind.
FROM node:26.10.0-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY ingest ingest
COPY table table
COPY loader loader
COPY jobs jobs
RUN npm run build && npm prune --omit=dev

FROM node:26.10.0-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
# The code belongs to root and is read by `node`: a run cannot change what the next one executes. A warehouse on a
# volume of its own goes below /data.
RUN mkdir /data && chown node:node /data
USER node
ENTRYPOINT ["node", "/app/dist/jobs/bin.js"]
CMD ["--help"]
