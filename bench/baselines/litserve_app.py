"""Baseline: LitServe with a model that costs nothing; it answers at once and stores no job."""

import sys

import litserve


class Echo(litserve.LitAPI):
    """Returns the prompt."""

    def setup(self, device: str) -> None:
        """Load nothing."""

    # LitServe reads an annotation of the request as the schema to check it with
    def decode_request(self, request) -> str:  # noqa: ANN001
        """Return the prompt of a request."""
        return str(request["prompt"])

    def predict(self, prompt: str) -> str:
        """Return the answer, at no cost."""
        return prompt

    def encode_response(self, output: str) -> dict[str, str]:
        """Return the answer's body."""
        return {"text": output}


if __name__ == "__main__":
    server = litserve.LitServer(Echo(), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
