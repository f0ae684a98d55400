"""Signs the requests of a job with botocore, at the times that the job says."""
import datetime
import json
import sys

import botocore.auth
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def sign(spec):
    moment = datetime.datetime.fromtimestamp(spec["millis"] / 1000, datetime.timezone.utc)
    botocore.auth.get_current_datetime = lambda *_args, **_kwargs: moment
    body = spec.get("body")
    request = AWSRequest(
        method=spec["method"],
        url=spec["url"],
        headers=spec["headers"],
        data=None if body is None else body.encode("utf-8"),
    )
    credentials = Credentials(spec["access_key_id"], spec["secret_access_key"], spec.get("session_token"))
    SigV4Auth(credentials, spec["service"], spec["region"]).add_auth(request)
    return {"authorization": request.headers["Authorization"], "date": request.headers["X-Amz-Date"]}


with open(sys.argv[1], encoding="utf-8") as job:
    specs = json.load(job)
with open(sys.argv[2], "w", encoding="utf-8") as result:
    json.dump([sign(spec) for spec in specs], result)
